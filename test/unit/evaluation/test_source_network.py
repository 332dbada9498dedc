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

"""Streams over the network, from servers that the tests are themselves."""

from __future__ import annotations

import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice

import av
import cv2
import numpy as np
import pytest

from e4_ros.evaluation.sources import SourceError, network, open_source


def picture(value: int) -> np.ndarray:
    return np.full((48, 64, 3), (value, 30, 200), np.uint8)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(network, 'RETRY_S', 0.05)
    monkeypatch.setattr(network, 'GIVE_UP_S', 1.0)
    monkeypatch.setattr(network, 'READ_S', 2.0)


@pytest.fixture
def serve():
    servers = []

    def start(handler: type[BaseHTTPRequestHandler]) -> str:
        server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f'http://user:secret@127.0.0.1:{server.server_port}'

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def mjpeg_camera(connections: int, frames: int) -> type[BaseHTTPRequestHandler]:
    """A camera that sends some frames on a connection, closes it, and later takes none."""
    left = [connections]

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not left[0]:
                self.send_error(503)
                return
            left[0] -= 1
            self.send_response(200)
            self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
            self.end_headers()
            for index in range(frames):
                data = cv2.imencode('.jpg', picture(40 + index)[..., ::-1])[1].tobytes()
                head = f'--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n'
                self.wfile.write(head.encode() + data + b'\r\n')

        def log_message(self, *_: object) -> None:
            pass

    return Camera


def test_a_stream_that_breaks_off_is_connected_again_until_nobody_answers(serve):
    source = open_source(serve(mjpeg_camera(connections=4, frames=10)) + '/video.mjpg')
    assert (source.repeatable, source.frame_count, source.size) == (False, None, (48, 64))
    stamped = list(source)  # two connections were made to look at it
    assert len(stamped) > 10
    stamps = [stamp for stamp, _ in stamped]
    assert stamps == sorted(stamps)
    assert abs(int(stamped[0][1][0, 0, 2]) - 200) < 8
    assert any('connecting again' in problem for problem in source.problems)
    assert 'taken to be at its end' in source.problems[-1]


def test_the_password_of_a_camera_is_not_told(serve):
    source = open_source(serve(mjpeg_camera(connections=3, frames=10)) + '/video.mjpg')
    list(source)
    assert 'secret' not in source.name + ' '.join(source.problems)
    with pytest.raises(SourceError, match='cannot be opened') as caught:
        open_source(serve(mjpeg_camera(connections=0, frames=0)) + '/video.mjpg')
    assert 'secret' not in str(caught.value)


def test_a_video_on_a_server_has_an_end_and_can_be_read_again(serve, tmp_path):
    with av.open(str(tmp_path / 'clip.mp4'), 'w', options={'movflags': 'faststart'}) as container:
        stream = container.add_stream('mpeg4', rate=20)
        stream.height, stream.width, stream.pix_fmt = 48, 64, 'yuv420p'
        for value in range(12):
            frame = av.VideoFrame.from_ndarray(picture(value * 10), format='rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())

    class Folder(SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, directory=str(tmp_path), **kwargs)

        def log_message(self, *_: object) -> None:
            pass

    source = open_source(serve(Folder) + '/clip.mp4')
    assert source.repeatable
    assert [len(list(source)), len(list(source))] == [12, 12]
    assert source.problems == []


def test_an_address_where_nothing_is_says_what_to_check():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceError, match=r'rtsp://127\.0\.0\.1:\d+/cam cannot be opened.*address'):
        open_source(f'rtsp://user:secret@127.0.0.1:{port}/cam')


def rtp_packets(count: int) -> list[bytes]:
    """A video as an RTSP camera sends it: H.264 in packets of RTP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(('127.0.0.1', 0))
        receiver.settimeout(0.5)
        address = f'rtp://127.0.0.1:{receiver.getsockname()[1]}'
        packets = []
        with av.open(address, 'w', format='rtp') as container:
            options = {'preset': 'ultrafast', 'tune': 'zerolatency', 'g': '5'}
            stream = container.add_stream('h264', rate=20, options=options)
            stream.height, stream.width, stream.pix_fmt = 48, 64, 'yuv420p'
            for value in range(count):
                frame = av.VideoFrame.from_ndarray(picture(40 + value), format='rgb24')
                container.mux(stream.encode(frame))
                while True:
                    packets.append(receiver.recv(65536))
                    if packets[-1][1] & 0x80:  # the marker: a picture's last packet
                        break
    return packets


class RtspCamera(socketserver.StreamRequestHandler):
    """Answers a player's requests (RFC 2326) and sends the packets on the same connection."""

    packets: list[bytes]
    sdp = (
        'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n'
        'a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track\r\n'
    )

    def handle(self) -> None:
        while request := self._request():
            method, number = request
            extra, body = '', ''
            if method == 'DESCRIBE':
                body = self.sdp
                extra = f'Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n'
            elif method == 'SETUP':
                extra = 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n'
            elif method == 'OPTIONS':
                extra = 'Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n'
            answer = f'RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: 1\r\n{extra}\r\n{body}'
            self.wfile.write(answer.encode())
            if method == 'PLAY':
                for packet in self.packets:
                    self.wfile.write(b'$\0' + len(packet).to_bytes(2, 'big') + packet)
                return

    def _request(self) -> tuple[str, str] | None:
        lines = []
        while line := self.rfile.readline().decode(errors='replace').strip():
            lines.append(line)
        if not lines:
            return None
        number = next(line.split(':')[1].strip() for line in lines if line.startswith('CSeq'))
        return lines[0].split()[0], number


def test_a_camera_that_speaks_rtsp():
    handler = type('Camera', (RtspCamera,), {'packets': rtp_packets(30)})
    with socketserver.ThreadingTCPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = open_source(f'rtsp://user:secret@127.0.0.1:{server.server_address[1]}/cam')
        frames = [frame for _, frame in islice(source, 60)]  # of more than one connection
        server.shutdown()
    assert (source.size, len(frames)) == ((48, 64), 60)
    assert abs(int(frames[0][20, 20, 2]) - 200) < 12
    assert 'connecting again' in source.problems[0]
