"""E4 for ROS 2: camera perception that spends only the energy each frame needs."""

from pkgutil import extend_path

# The generated interfaces (e4_ros.msg, .srv, .action) are built into the install space under the
# same name; without this line a checkout or a pip install earlier on sys.path would hide them.
__path__ = extend_path(__path__, __name__)

__version__ = '0.1.0'
