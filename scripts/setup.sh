# Source this for a shell with the environment and the built package: `. scripts/setup.sh`
# Works from the checkout's root in sh, bash and zsh.
. .venv/bin/activate
export AMENT_PREFIX_PATH="$PWD/.venv${AMENT_PREFIX_PATH:+:$AMENT_PREFIX_PATH}"
. install/local_setup.sh
