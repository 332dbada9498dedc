# Copyright 2026 e4_ros maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Clocks and offloading: the sum that is searched, and what a link that misbehaves does to it."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from e4_ros.energy.boards import load_board
from e4_ros.evaluation.simulation.edge_world import Conditions, Scenario
from e4_ros.offload.exchange import ANSWERED, LOST
from e4_ros.offload.request import (
    EDGE,
    FOLLOW,
    FRAME,
    GO_ON,
    LOCAL,
    NETWORK,
    TAIL,
    LinkState,
    Offload,
    RequestOutcome,
    ServerState,
)
from e4_ros.perception.controller import (
    ControllerError,
    Decision,
    Observation,
    Outcome,
    Wishes,
    refuse_unknown,
)
from e4_ros.perception.controllers import make_controller
from e4_ros.perception.controllers.dvfo.choices import (
    MEASURED,
    NOTHING,
    Choice,
    Estimate,
    Newest,
    Way,
)
from e4_ros.perception.controllers.dvfo.costs import RADIO_W, REFUSED, TRACKS_F1, Price, frame_cost
from e4_ros.perception.weights import Weights

SLOW = Scenario('jetson_tx2', share=0.3, price=Price(deadline_s=0.15), period_s=0.2)
BOUND = Wishes(deadline_s=0.15)
CUTS = tuple(dict.fromkeys(c.offload.cut for c in MEASURED if c.offload.cut))
SERVER = ServerState({TAIL: 'a', NETWORK: 'a'}, CUTS, run_s={NETWORK: 0.012})
NAMES = ('dvfo', 'dvfo:exact', 'dvfo:greedy')


def link(mbps: float, **more) -> LinkState:
    return LinkState(
        **{'up': True, 'rate_bps': (1e6 * mbps, 1e6 * mbps), 'round_trip_s': 0.004} | more
    )


def seen(state: LinkState, server: ServerState = SERVER, **more) -> Observation:
    known = {'board': SLOW.board_state(), 'link': state, 'server': server, 'wishes': BOUND}
    return Observation(**{**known, **more})


def decide(name: str, state: LinkState, server: ServerState = SERVER, **more) -> Decision:
    return make_controller(name, SLOW.context()).decide(seen(state, server, **more))


@pytest.mark.parametrize('name', NAMES)
def test_nothing_is_sent_where_nobody_answers(name):
    assert decide(name, LinkState(), ServerState()).offload == LOCAL
    assert decide(name, link(20), ServerState()).offload == LOCAL  # up, but offers nothing
    assert decide(name, LinkState(up=False, rate_bps=(1e9, 1e9))).offload == LOCAL


@pytest.mark.parametrize('name', NAMES)
def test_a_slow_robot_sends_where_the_link_is_fast_and_not_where_it_is_dead(name):
    fast = decide(name, link(20)).offload
    assert fast.service
    assert fast.deadline_s == 0.15
    assert decide(name, link(0)).offload == LOCAL
    assert decide(name, link(0.05)).offload == LOCAL


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('rate', [math.nan, math.inf, -5.0])
def test_a_rate_that_is_none_stakes_nothing_on_the_link(name, rate):
    state = link(1, rate_bps=(rate, rate))
    decision = decide(name, state)
    assert decision.offload == LOCAL or decision.offload.meanwhile == GO_ON


def test_other_figures_that_are_none_are_not_known():
    strange = LinkState(True, 0.0, (5e6, 1e6), math.nan, math.nan)
    server = ServerState({NETWORK: 'a'}, wait_s=-3.0, run_s={NETWORK: math.inf})
    estimate = Estimate.of(strange, server)
    assert np.isfinite([estimate.trip_s, estimate.loss, *estimate.run_s.values()]).all()
    assert {way.rate_bps for way in estimate.ways} == {1e6}  # the tenth percentile is the lower one
    assert {way.wait_s for way in estimate.ways} == {0.0}
    assert decide('dvfo', strange, server).point


@pytest.mark.parametrize('weights', [(-1, 1, 1), (0, 0, 0), (math.nan, 1, 1)])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match='0 or more'):
        Weights(*weights)
    with pytest.raises(ValueError, match='0 or more'):
        Price(*weights)


def test_the_weights_decide():
    thrifty = decide('dvfo', link(0), wishes=Wishes(0.15, weights=Weights(0, 0, 1))).point
    hasty = decide('dvfo', link(0), wishes=Wishes(0.15, weights=Weights(0, 1, 0))).point
    assert all(thrifty[name] <= hasty[name] for name in thrifty)
    assert thrifty != hasty
    exact = decide('dvfo', link(20), wishes=Wishes(0.15, weights=Weights(1, 0, 0))).offload
    worth = {replace(c.offload, deadline_s=0.15): c.f1 for c in MEASURED}
    assert exact == LOCAL or worth[exact] > 0.99


def test_domains_that_a_board_lacks_are_left_out():
    pi = Scenario('raspberry_pi_5', share=0.2)
    decision = make_controller('dvfo', pi.context()).decide(
        Observation(board=pi.board_state(), link=link(20), server=SERVER)
    )
    assert set(decision.point) == set(pi.domains) == {'cpu'}


def test_what_a_server_does_not_offer_is_not_asked_for():
    pictures = ServerState({NETWORK: 'a'}, (), run_s={NETWORK: 0.01})
    assert decide('dvfo', link(20), pictures).offload.form == FRAME
    one = ServerState({TAIL: 'a'}, CUTS[1:2], run_s={CUTS[1]: 0.005})
    sent = decide('dvfo', link(20), one).offload
    assert sent == LOCAL or sent.cut == CUTS[1]


def test_the_search_finds_what_a_loop_finds():
    """The cost of each cell written down anew, frame by frame, beside the arrays."""
    world = Conditions.of(SLOW, 1, 10)
    costs, priced, price = world.costs, world.priced(), SLOW.price
    estimate = Estimate.of(link(6, loss=0.1), SERVER)
    found = priced.expected(estimate)
    rng = np.random.default_rng(0)
    for row, point in zip(
        rng.integers(len(costs.choices), size=60),
        rng.integers(len(costs.points), size=60),
        strict=True,
    ):
        choice, total = costs.choices[row], 0.0
        send_s = 8 * choice.sent_bytes / 6e6
        for chance, away_s in ((0.9, send_s + 0.004 + estimate.run_of(choice)), (0.1, math.inf)):
            sent_s = send_s if away_s < math.inf else math.inf
            total += chance * one_cell(costs, choice, row, point, away_s, sent_s, price)
        own_s = price.deadline_s if costs.follows[row] else costs.whole_s[point]
        usual_s = costs.before_s[row, point] + send_s + 0.004 + estimate.run_of(choice)
        vain = choice != NOTHING and usual_s > min(own_s, price.deadline_s)
        refused = one_cell(costs, NOTHING, 0, point, math.inf, math.inf, price)
        wanted = (1 - REFUSED) * total + REFUSED * refused
        assert found[row, point] == pytest.approx(math.inf if vain else wanted)


def one_cell(costs, choice, row, point, away_s, send_s, price) -> float:
    whole_s, before_s = costs.whole_s[point], costs.before_s[row, point]
    radio_j = RADIO_W * min(send_s, price.deadline_s)
    if choice == NOTHING:
        seconds, joules, f1, busy_s = whole_s, costs.whole_j[point], 1.0, whole_s
    elif choice.offload.meanwhile == FOLLOW:
        came = before_s + away_s <= price.deadline_s
        seconds = before_s + away_s if came else price.deadline_s
        joules, busy_s = costs.before_j[row, point] + radio_j, before_s
        f1 = choice.f1 if came else TRACKS_F1
    else:
        came = before_s + away_s <= min(whole_s, price.deadline_s)
        seconds = before_s + away_s if came else whole_s
        joules, busy_s, f1 = costs.whole_j[point] + radio_j, whole_s, choice.f1 if came else 1.0
    joules += costs.idle_w[point] * max(SLOW.period_s - busy_s, 0)
    return float(frame_cost(seconds, joules, f1, price, costs.top_w))


def test_a_late_answer_costs_a_deadline_more():
    price = Price(energy=0.3, latency=0.7, accuracy=0.5, late=2.0, deadline_s=0.1)
    in_time = frame_cost(0.1, 1.0, 0.9, price, 10.0)
    assert in_time == pytest.approx(0.3 * 1 + 0.7 * 10 * 0.1 + 10 * 0.1 * 0.5 * 0.1)
    assert frame_cost(0.2, 1.0, 0.9, price, 10.0) - in_time == pytest.approx(0.7 + 2.0)


def test_a_link_that_was_left_is_asked_again_while_the_own_network_goes_on():
    controller = make_controller('dvfo:exact', SLOW.context())
    sent = []
    for frame in range(80):
        offload = controller.decide(replace(seen(link(0.05)), time_s=0.1 * frame)).offload
        if offload != LOCAL:
            sent.append(frame)
            assert offload.meanwhile == GO_ON
    assert sent[0] == 5  # half a second after it last mattered
    assert np.diff(sent).tolist() == [10, 20, 20, 20]  # and less often the longer it is of no use


def test_the_newest_requests_count_most_and_lost_ones_are_slow_ones():
    newest = Newest(kept=2)
    assert newest.ways(0.0) == []
    offload = Offload(NETWORK, deadline_s=0.1)
    legs = {'send': 0.01, 'queue': 0.02}
    newest.note(RequestOutcome(offload, ANSWERED, True, 10_000, legs, 0.05), 1.0)
    assert newest.ways(1.1) == [Way(1.0, 8e6, 0.02)]
    newest.note(RequestOutcome(offload, LOST, False, 10_000), 1.2)
    old, new = newest.ways(1.3)
    assert new.rate_bps == pytest.approx(8e5)
    assert new.chance == pytest.approx(2 * old.chance)
    assert newest.ways(60.0) == []  # too long ago
    newest.note(RequestOutcome(offload, ANSWERED, True, 10_000, {'send': math.nan}, 0.05), 2.0)
    assert newest.ways(2.0) == [old, new]  # it showed nothing


def test_the_bandit_leaves_a_server_that_is_slower_than_it_says():
    """The table never learns that answers take 300 ms, which link and server do not explain."""
    greedy, exact = (
        make_controller(f'dvfo:{name}', SLOW.context()) for name in ('greedy', 'exact')
    )
    for controller in (greedy, exact):
        for frame in range(60):
            decision = controller.decide(replace(seen(link(20)), time_s=0.2 * frame))
            if decision.offload == LOCAL:
                controller.observe(Outcome('full', 0.1, 0.2, 0.2))
                continue
            request = RequestOutcome(decision.offload, ANSWERED, False, 20_000, {}, 0.3)
            outcome = Outcome('track', 0.15, 0.2, 0.2, sent_bytes=1, requests=(request,))
            controller.observe(outcome)
    assert exact.offloads > 55
    assert greedy.offloads < 45
    assert int(greedy.facts()['dvfo.learnt']) > 20


@pytest.mark.parametrize('name', NAMES)
def test_any_outcome_of_a_request_is_survived(name):
    controller = make_controller(name, SLOW.context())
    for status, total, legs in itertools.product(
        (ANSWERED, LOST, 'refused'), (math.nan, -1.0, 0.05), ({}, {'send': -1.0}, {'send': 0.01})
    ):
        offload = controller.decide(seen(link(20))).offload
        request = RequestOutcome(offload, status, status == ANSWERED, 10_000, legs, total)
        outcome = Outcome('full', 0.05, math.nan, 0.2, place=EDGE, requests=(request,))
        controller.observe(outcome)
    assert controller.decide(seen(link(20))).point


def test_a_choice_that_makes_no_sense_is_refused():
    for wrong in ({'f1': 1.2}, {'sent_bytes': -1}, {'before': math.nan}):
        with pytest.raises(ValueError, match='nothing can'):
            Choice(**wrong)


def test_everybody_can_send_nothing_and_not_everybody_something():
    refuse_unknown(Decision(offload=LOCAL), {'point'}, 'the test')
    with pytest.raises(ControllerError, match='cannot carry out offload'):
        refuse_unknown(Decision(offload=Offload(NETWORK)), {'point'}, 'the test')


def test_an_undescribed_board_is_refused_with_a_reason():
    unknown = replace(SLOW.board_state(), name='toaster', described=None)
    context = replace(SLOW.context(), table=None)
    with pytest.raises(ValueError, match='toaster'):
        make_controller('dvfo', context).decide(Observation(board=unknown))
    assert load_board(SLOW.board).name == SLOW.board


def test_a_board_that_is_slower_than_its_table_gets_higher_clocks():
    controller, raw = make_controller('dvfo', SLOW.context()), SLOW.table()
    thrifty = seen(link(0), wishes=Wishes(0.3, weights=Weights(0, 0, 1)))
    before = controller.decide(thrifty).point
    for _ in range(30):
        point = controller.decide(thrifty).point
        took = [1.4 * float(raw.latency_s[row, raw.index(point)]) for row in range(3)]
        controller.observe(Outcome('full', sum(took), 0.3, 0.2, took, [point] * 3))
    assert controller.facts()['dvfo.slower'] == '1.40'
    after = controller.decide(thrifty).point
    assert after != before
    assert 1.4 * sum(raw.latency_s[row, raw.index(after)] for row in range(3)) <= 0.3
    controller.observe(Outcome('full', 9.0, 0.3, 0.2, [9.0] * 3, [{'cpu': 5}] * 3))
    assert controller.facts()['dvfo.slower'] == '1.40'  # clocks that nobody knows teach nothing


@pytest.mark.parametrize('name', NAMES)
def test_what_is_decided_and_never_sent_is_left_alone_for_a_while(name):
    """The client refuses, or this robot's network is not cut there."""
    controller = make_controller(name, SLOW.context())
    first = controller.decide(seen(link(20))).offload
    others = set()
    for frame in range(100):
        controller.observe(Outcome('full', 0.14, 0.2, 0.2))
        later = controller.decide(replace(seen(link(20)), time_s=0.2 * frame)).offload
        others.add((later.service, later.cut))
    assert (first.service, first.cut) in others
    assert len(others) > 2
    assert later == LOCAL  # everything was refused by then
    again = controller.decide(replace(seen(link(20)), time_s=100.0)).offload
    assert again.service
