# shellcheck shell=bash
# Where things are. Sourced by every script of ci/; it changes nothing but variables.
#
# What is installed for the checks (jars, the Python environment) lives inside the checkout, under target/ci,
# so that a fresh clone is a fresh start. HIGHWATER_CI_DIR moves it, for people with several worktrees.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CLIENTS=$ROOT/ci/clients
CI_DIR=${HIGHWATER_CI_DIR:-$ROOT/target/ci}
JAVA_DIR=$CI_DIR/java
PYTHON_DIR=$CI_DIR/python
PYTHON=$PYTHON_DIR/bin/python
NODE_DIR=$CI_DIR/node
GO_DIR=$CI_DIR/go
RDKAFKA_DIR=$CI_DIR/rdkafka
export ROOT CLIENTS CI_DIR JAVA_DIR PYTHON_DIR PYTHON NODE_DIR GO_DIR RDKAFKA_DIR
