# The verbs of this project. Each recipe is a step of `.ci/run`, which needs no `just`: `just test` and `.ci/run test` are
# the same. https://just.systems

set positional-arguments

# List the recipes.
default:
    @just --list

# Format the source.
format:
    @.ci/run format

# Have the compiler look at everything, tests included; the quickest answer.
check *ARGUMENTS:
    @.ci/run check "$@"

# Compare the format of the source.
fmt:
    @.ci/run fmt

# Run clippy; every warning is an error.
lint:
    @.ci/run lint

# Build the documentation, private items included; every warning is an error.
doc:
    @.ci/run doc

# Check licences, advisories, banned crates and sources, where cargo-deny is installed.
deny:
    @.ci/run deny

# Install the Debian packages that some tests use (as root).
tools:
    @.ci/run tools

# Install the model of the engine on this machine.
model:
    @.ci/run model

# Run the tests: `just test`, `just test --lib job`, `just test --test it docs`.
test *ARGUMENTS:
    @.ci/run test "$@"

# Build with whisper and run its tests (needs cmake and clang).
whisper:
    @.ci/run whisper

# Check the systemd units, where systemd-analyze is installed.
units:
    @.ci/run units

# Build the Debian package and try it in a fresh root (needs cmake, clang, root and debootstrap).
packages:
    @.ci/run packages

# Run every check that a change must pass.
ci:
    @.ci/run
