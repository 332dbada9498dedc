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

from __future__ import annotations

import io
import sys
from array import array
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import cv2
import numpy as np
import PIL.Image
import pytest

from e4_ros.perception import cv_bridge_door
from e4_ros.perception.image_file import ImageError, decode
from e4_ros.perception.images import BitDepth, to_rgb


@dataclass
class Image:
    """`sensor_msgs/Image` as rclpy hands it over: data is an array of type code B."""

    height: int
    width: int
    encoding: str
    step: int
    data: array = field(repr=False)
    is_bigendian: int = 0


def message(pixels: np.ndarray, encoding: str, **changes) -> Image:
    step = pixels.strides[0]
    data = array('B', pixels.tobytes())
    return replace(Image(pixels.shape[0], pixels.shape[1], encoding, step, data), **changes)


def compressed(data: bytes, kind: str = 'jpeg') -> SimpleNamespace:
    return SimpleNamespace(format=kind, data=array('B', data))


@pytest.fixture
def scene() -> np.ndarray:
    """A smooth RGB picture whose three channels differ, so that swapped channels show."""
    y, x = np.mgrid[:48, :64]
    return np.stack([x * 4, y * 5, np.full_like(x, 30)], axis=-1).astype(np.uint8)


def test_rgb_is_handed_on_without_a_copy(scene):
    source = message(scene, 'rgb8')
    rgb = to_rgb(source)
    np.testing.assert_array_equal(rgb, scene)
    source.data[0] = 99
    assert rgb[0, 0, 0] == 99


@pytest.mark.parametrize(
    ('encoding', 'code'),
    [
        ('bgr8', cv2.COLOR_RGB2BGR),
        ('rgba8', cv2.COLOR_RGB2RGBA),
        ('bgra8', cv2.COLOR_RGB2BGRA),
    ],
)
def test_colour_encodings(scene, encoding, code):
    np.testing.assert_array_equal(to_rgb(message(cv2.cvtColor(scene, code), encoding)), scene)


def test_grey_becomes_three_equal_channels(scene):
    grey = cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY)
    rgb = to_rgb(message(grey, 'mono8'))
    np.testing.assert_array_equal(rgb, np.repeat(grey[..., None], 3, axis=-1))


def test_sixteen_bits_are_scaled_not_cut(scene):
    deep = scene[..., 0].astype(np.uint16) * 257
    assert np.abs(to_rgb(message(deep, 'mono16'))[..., 0].astype(int) - scene[..., 0]).max() <= 1


def test_big_endian_data_on_this_machine(scene):
    deep = (scene[..., 0].astype(np.uint16) * 257).astype('>u2')
    rgb = to_rgb(message(deep, 'mono16', is_bigendian=1))
    assert np.abs(rgb[..., 0].astype(int) - scene[..., 0]).max() <= 1


def test_bayer_recovers_a_flat_colour():
    mosaic = np.zeros((16, 16), np.uint8)
    mosaic[0::2, 0::2] = 200  # red sits first in each 2 × 2 cell of rggb
    mosaic[0::2, 1::2] = mosaic[1::2, 0::2] = 100
    mosaic[1::2, 1::2] = 50
    rgb = to_rgb(message(mosaic, 'bayer_rggb8'))
    np.testing.assert_array_equal(rgb[8, 8], (200, 100, 50))


def test_nv12_keeps_its_height(scene):
    i420 = cv2.cvtColor(scene, cv2.COLOR_RGB2YUV_I420)
    chroma = i420[48:].reshape(2, -1).T.reshape(24, 64)  # planes U, V to interleaved UV
    nv12 = np.concatenate([i420[:48], chroma])
    rgb = to_rgb(replace(message(nv12, 'nv12'), height=48))
    assert rgb.shape == scene.shape
    assert np.abs(rgb.astype(int) - scene).mean() < 4


@pytest.mark.parametrize('padding', [0, 10])
def test_nv24_shows_the_colours_of_nv12(scene, padding):
    yuv = np.zeros((48, 64 + padding), np.uint8)
    yuv[:, :64] = scene[..., 0] // 2 + 60
    chroma = np.zeros((48, 2 * (64 + padding)), np.uint8)
    chroma[:, :128:2], chroma[:, 1:128:2] = 90, 150
    data = array('B', yuv.tobytes() + chroma.tobytes())
    rgb = to_rgb(Image(48, 64, 'nv24', 64 + padding, data))
    halved = np.concatenate([yuv[:, :64], chroma[::2, :64]])
    expected = to_rgb(replace(message(halved, 'nv12'), height=48))
    assert np.abs(rgb.astype(int) - expected).max() <= 2
    with pytest.raises(ImageError, match='truncated'):
        to_rgb(Image(48, 64, 'nv24', 64 + padding, data[:-200]))


@pytest.mark.parametrize('encoding', ['mono16', 'bayer_rggb16'])
@pytest.mark.parametrize('bits', [10, 12, 14, 16])
def test_cameras_that_fill_the_low_bits_alone_are_not_dark(scene, encoding, bits):
    depth = BitDepth()
    bright = np.full((16, 16), 2**bits - 1, np.uint16)
    assert to_rgb(message(bright, encoding), depth=depth)[8, 8].tolist() == [255, 255, 255]
    assert depth.bits == bits
    half = np.full((16, 16), 2 ** (bits - 1), np.uint16)
    assert to_rgb(message(half, encoding), depth=depth)[8, 8].tolist() == [128, 128, 128]


def test_a_dark_picture_does_not_change_what_the_next_means():
    depth = BitDepth()
    to_rgb(message(np.full((4, 4), 4095, np.uint16), 'mono16'), depth=depth)
    dark = np.full((4, 4), 160, np.uint16)
    assert to_rgb(message(dark, 'mono16'), depth=depth).max() == 10


def test_padded_rows_are_not_picture(scene):
    padded = np.full((48, 64 * 3 + 32), 255, np.uint8)
    padded[:, : 64 * 3] = scene.reshape(48, -1)
    rgb = to_rgb(Image(48, 64, 'rgb8', padded.shape[1], array('B', padded.tobytes())))
    np.testing.assert_array_equal(rgb, scene)


def test_the_last_row_needs_no_padding(scene):
    padded = np.zeros((48, 200), np.uint8)
    padded[:, : 64 * 3] = scene.reshape(48, -1)
    data = array('B', padded.tobytes()[: 200 * 47 + 64 * 3])
    np.testing.assert_array_equal(to_rgb(Image(48, 64, 'rgb8', 200, data)), scene)


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        ({'encoding': 'rgb9'}, 'unknown encoding'),
        ({'encoding': ''}, 'unknown encoding'),
        ({'encoding': '8UC3'}, 'does not name its colours'),
        ({'width': 0}, 'no pixels'),
        ({'height': 0}, 'no pixels'),
        ({'step': 64 * 3 - 1}, 'step is 191 bytes'),
        ({'step': 0}, 'step is 0 bytes'),
        ({'data': array('B', bytes(100))}, 'truncated: 100 bytes'),
        ({'data': array('B')}, 'truncated: 0 bytes'),
        ({'height': 2**31, 'width': 2**31}, 'over the limit'),
    ],
)
def test_bad_images_are_refused_with_the_reason(scene, changes, says):
    with pytest.raises(ImageError, match=says):
        to_rgb(replace(message(scene, 'rgb8'), **changes))


def test_depth_with_nan_is_not_a_picture():
    depth = np.full((48, 64), np.nan, np.float32)
    with pytest.raises(ImageError, match='depth'):
        to_rgb(message(depth, '32FC1'))


def test_odd_chroma_is_an_image_error():
    with pytest.raises(ImageError, match='cannot convert'):
        to_rgb(message(np.zeros((5, 7), np.uint16), 'yuyv'))


def test_the_limit_is_a_parameter_and_8000_by_6000_fits():
    large = Image(6000, 8000, 'mono8', 8000, array('B', bytes(48_000_000)))
    assert to_rgb(large).shape == (6000, 8000, 3)
    with pytest.raises(ImageError, match='over the limit of 1000000 pixels'):
        to_rgb(large, max_pixels=1_000_000)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.bmp', '.tiff'])
def test_compressed_pictures(scene, suffix):
    _, data = cv2.imencode(suffix, cv2.cvtColor(scene, cv2.COLOR_RGB2BGR))
    rgb = to_rgb(compressed(data.tobytes(), suffix[1:]))
    assert rgb.shape == scene.shape
    assert np.abs(rgb.astype(int) - scene).mean() < 4


def test_a_grey_jpeg_is_a_picture(scene):
    _, data = cv2.imencode('.jpg', scene[..., 0])
    assert to_rgb(compressed(data.tobytes(), 'mono8; jpeg compressed ')).shape == scene.shape


def jpeg(scene: np.ndarray) -> bytes:
    return cv2.imencode('.jpg', scene)[1].tobytes()


def test_a_jpeg_padded_by_the_camera_is_whole(scene):
    assert decode(jpeg(scene) + bytes(100_000)).shape == scene.shape


def test_a_motion_photo_is_a_picture(scene):
    video = b'\x00\x00\x00\x18ftypmp42' + np.random.default_rng(0).bytes(20_000)
    video = video.replace(b'\xff\xd9', b'\xff\xd8')  # its own end marker must be found
    assert decode(jpeg(scene) + video).shape == scene.shape


def test_a_preview_is_not_the_end_of_the_picture(scene):
    preview = jpeg(scene[::4, ::4])
    segment = b'\xff\xe1' + (len(preview) + 2).to_bytes(2, 'big') + preview
    whole = jpeg(scene)
    data = whole[:2] + segment + whole[2:]
    assert decode(data).shape == scene.shape
    with pytest.raises(ImageError, match='cut off'):
        decode(data[:-200])


@pytest.mark.parametrize('share', [0.1, 0.5, 0.99])
def test_a_jpeg_that_was_cut_off_is_refused(scene, share):
    data = jpeg(scene)
    with pytest.raises(ImageError):
        to_rgb(compressed(data[: int(len(data) * share)]))


@pytest.mark.parametrize('data', [b'', b'\xff\xd8\xff', b'no image at all', bytes(1000)])
def test_what_is_no_image_is_refused(data):
    with pytest.raises(ImageError, match='no'):
        to_rgb(compressed(data))


def test_a_large_jpeg_is_refused_before_it_is_decoded(scene, monkeypatch):
    def fail(*_):
        raise AssertionError('decoded')

    data = jpeg(scene)
    monkeypatch.setattr(cv2, 'imdecode', fail)
    with pytest.raises(ImageError, match='over the limit'):
        to_rgb(compressed(data), max_pixels=1000)


@pytest.mark.parametrize(
    'form',
    [
        '32FC1; compressedDepth',
        '16UC1; compresseddepth png',
        '16UC1; png compressed ',
        '16UC1; jpeg compressed ',
        '32FC1; png compressed ',
    ],
)
def test_compressed_depth_is_refused(form):
    png = cv2.imencode('.png', np.full((4, 4), 900, np.uint16))[1]
    with pytest.raises(ImageError, match='depth'):
        to_rgb(compressed(png.tobytes(), form))


def test_a_packet_of_a_video_stream_is_named():
    with pytest.raises(ImageError, match=r"'h264' is a packet of a video stream"):
        to_rgb(compressed(bytes(100), 'h264'))


@pytest.mark.parametrize('order', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize(('kind', 'bits'), [('png', 8), ('jpeg', 8), ('png', 16)])
def test_a_mosaic_sent_compressed_is_the_picture_that_it_is_raw(order, kind, bits):
    # Flat quarters: what JPEG loses at their borders is little.
    mosaic = np.kron([[40, 200], [120, 80]], np.ones((16, 16))).astype(np.uint8)
    if bits == 16:
        mosaic = mosaic.astype(np.uint16) * 257
    raw = to_rgb(message(mosaic, f'bayer_{order}{bits}'))
    data = cv2.imencode(f'.{kind}', mosaic)[1].tobytes()
    sent = to_rgb(compressed(data, f'bayer_{order}{bits}; {kind} compressed '))
    assert np.abs(sent.astype(int) - raw).max() <= (6 if kind == 'jpeg' else 0)


def test_bayer_that_was_made_colour_before_it_was_sent_is_left_alone(scene):
    data = cv2.imencode('.png', cv2.cvtColor(scene, cv2.COLOR_RGB2BGR))[1].tobytes()
    rgb = to_rgb(compressed(data, 'bayer_rggb8; png compressed bgr8'))
    np.testing.assert_array_equal(rgb, scene)


def test_what_old_writers_stored_with_red_and_blue_swapped_is_swapped_back(scene):
    data = cv2.imencode('.png', scene)[1].tobytes()  # red where a file has blue
    rgb = to_rgb(compressed(data, 'rgb8; png compressed rgb8'))
    np.testing.assert_array_equal(rgb, scene)


def test_twelve_bits_in_a_png_are_not_dark():
    png = cv2.imencode('.png', np.full((4, 4), 4095, np.uint16))[1].tobytes()
    rgb = to_rgb(compressed(png, 'mono16; png compressed '), depth=BitDepth())
    assert rgb.min() == 255


def test_pictures_in_a_file_are_turned_as_exif_says(scene):
    picture = PIL.Image.fromarray(scene)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    file = io.BytesIO()
    picture.save(file, 'jpeg', exif=exif.tobytes(), quality=95)
    rgb = decode(file.getvalue())
    assert np.abs(rgb.astype(int) - np.rot90(scene, -1)).mean() < 4


@pytest.mark.parametrize('kind', ['L', 'LA', 'RGBA', 'P'])
def test_png_of_any_kind_are_pictures(scene, kind):
    file = io.BytesIO()
    PIL.Image.fromarray(scene).convert(kind).save(file, 'png')
    with pytest.raises(ImageError, match='64×48, over the limit'):
        decode(file.getvalue(), max_pixels=100)
    assert decode(file.getvalue()).shape == scene.shape


def test_a_progressive_jpeg_with_a_long_comment_says_its_size(scene):
    file = io.BytesIO()
    PIL.Image.fromarray(scene).save(file, 'jpeg', progressive=True, comment=b'\xff\xc0' * 30_000)
    with pytest.raises(ImageError, match='64×48, over the limit'):
        decode(file.getvalue(), max_pixels=100)


@pytest.mark.parametrize(
    ('encoding', 'dtype', 'channels'),
    [
        *((f'bayer_{order}8', np.uint8, 1) for order in ('rggb', 'bggr', 'gbrg', 'grbg')),
        *((f'bayer_{order}16', np.uint16, 1) for order in ('rggb', 'bggr', 'gbrg', 'grbg')),
        *((name, np.uint8, 2) for name in ('uyvy', 'yuv422', 'yuyv', 'yuv422_yuy2')),
        *((name, np.uint16, 3) for name in ('rgb16', 'bgr16')),
        *((name, np.uint16, 4) for name in ('rgba16', 'bgra16')),
        *((name, np.uint8, 4) for name in ('rgba8', 'bgra8')),
        ('mono16', np.uint16, 1),
        ('bgr8', np.uint8, 3),
    ],
)
@pytest.mark.parametrize('big', [0, 1])
def test_every_encoding_is_converted_as_by_rosbags(encoding, dtype, channels, big):
    rosbags = pytest.importorskip('rosbags.image')
    shape = (16, 20) if channels == 1 else (16, 20, channels)
    pixels = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape, dtype)
    if dtype == np.uint8 and big:
        pytest.skip('one byte has no order')
    source = message(pixels.byteswap() if big else pixels, encoding, is_bigendian=big)
    theirs = rosbags.image_to_cvimage(source, 'rgb8')
    apart = np.abs(to_rgb(source).astype(int) - theirs)
    assert apart.max() <= (1 if dtype == np.uint16 else 0)  # we round sixteen bits, it cuts them


def install_cv_bridge(monkeypatch, convert):
    bridge = SimpleNamespace(CvBridge=lambda: SimpleNamespace(imgmsg_to_cv2=convert))
    monkeypatch.setitem(sys.modules, 'cv_bridge', bridge)
    cv_bridge_door.cv_bridge.cache_clear()


@pytest.fixture(autouse=True)
def _forget_the_bridge():
    yield
    cv_bridge_door.cv_bridge.cache_clear()


def test_an_installed_cv_bridge_converts(scene, monkeypatch):
    install_cv_bridge(monkeypatch, lambda msg, wanted: np.full((msg.height, msg.width, 3), 7))
    assert cv_bridge_door.backend() == 'cv_bridge'
    assert (to_rgb(message(scene, 'bgr8')) == 7).all()


def test_a_conversion_that_cv_bridge_refuses_is_an_image_error(scene, monkeypatch):
    def convert(msg, wanted):
        if msg.encoding == 'mono8':
            raise RuntimeError('no conversion')
        return np.full((msg.height, msg.width, 3), 7)

    install_cv_bridge(monkeypatch, convert)
    grey = np.ascontiguousarray(scene[..., 0])
    with pytest.raises(ImageError, match=r'cv_bridge cannot convert .mono8.: no conversion'):
        to_rgb(message(grey, 'mono8'))


def test_a_cv_bridge_that_does_not_work_is_passed_over(scene, monkeypatch):
    def fail(*_):
        raise AttributeError('_ARRAY_API not found')

    install_cv_bridge(monkeypatch, fail)
    assert cv_bridge_door.backend() == 'OpenCV'
    np.testing.assert_array_equal(to_rgb(message(scene, 'rgb8')), scene)


@pytest.fixture
def photo() -> np.ndarray:
    """A picture with something in it everywhere, as cameras send it."""
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


def test_a_strict_decoder_gives_the_same_picture(photo):
    pytest.importorskip('simplejpeg')
    data = jpeg(photo)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(decode(data), expected)


@pytest.mark.parametrize('lost', [512, 3000])
def test_a_jpeg_that_was_damaged_in_the_middle_is_named(photo, lost):
    pytest.importorskip('simplejpeg')
    data = jpeg(photo)
    half = len(data) // 2
    with pytest.raises(ImageError, match=r'damaged.*cable'):
        decode(data[:half] + data[half + lost :])


def test_padding_before_the_end_marker_is_no_damage(photo):
    data = jpeg(photo)
    assert decode(data[:-2] + b'\x00\x01\x02' + data[-2:]).shape == photo.shape


@pytest.mark.parametrize('kind', ['CMYK', 'L', 'YCbCr'])
def test_jpegs_of_any_colours_are_pictures(photo, kind):
    file = io.BytesIO()
    PIL.Image.fromarray(photo).convert(kind).save(file, 'jpeg')
    assert decode(file.getvalue()).shape == photo.shape
