from __future__ import annotations

import pytest

from e4_ros.perception.camera_names import check_camera_names


def test_names_that_can_be_parts_of_topics_are_taken():
    check_camera_names([])
    check_camera_names(['front', 'rear_left', 'cam2', 'B'])


@pytest.mark.parametrize('name', ['2nd', 'rear left', 'a/b', '/front', 'a__b', 'a_', '_a', 'é', ''])
def test_another_name_is_told_with_what_one_may_be(name):
    with pytest.raises(ValueError, match='cannot be a part of a topic: a name has letters'):
        check_camera_names(['front', name])


def test_a_name_that_comes_twice_is_told():
    with pytest.raises(ValueError, match='front is there twice'):
        check_camera_names(['front', 'rear', 'front'])
