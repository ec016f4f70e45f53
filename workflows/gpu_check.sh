#!/usr/bin/env bash
# Checks and measures molebm on a machine with a GPU, and trains there from prepared tensors.
# Needs PyTorch, torch-geometric, safetensors, click and pytest, to train rich and pydantic too; no RDKit,
# no OpenMM, no installation. Packages may lie in a folder that PYTHONPATH names.
#
#   workflows/gpu_check.sh                               tests
#   workflows/gpu_check.sh check MOLECULES.safetensors   tests, then relaxed conformers per second
#   workflows/gpu_check.sh train CONFIG.toml DATA_DIR    training, with checkpoints
#
# Everything is written under ${OUT:-gpu_check_out}. A stage that fails does not stop the next one;
# the exit code is 0 if all passed and 1 if any failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
out=${OUT:-gpu_check_out}
mkdir -p "$out" || exit 2
out=$(cd "$out" && pwd)
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
python=${PYTHON:-python3}
failed=()

# stage NAME COMMAND...: run it with its output on screen and in NAME.log, and note a failure.
stage() {
    local name=$1 started=$SECONDS status
    shift
    printf '\n== %s: %s\n' "$name" "$*"
    "$@" 2>&1 | tee "$out/$name.log"
    status=${PIPESTATUS[0]}
    printf '== %s: exit %d after %d s\n' "$name" "$status" $((SECONDS - started))
    ((status == 0)) || failed+=("$name")
}

finish() {
    if ((${#failed[@]})); then
        printf '\nFAILED: %s (logs in %s)\n' "${failed[*]}" "$out"
        exit 1
    fi
    printf '\nAll stages passed (logs in %s)\n' "$out"
    exit 0
}

versions() {
    "$python" - <<'PY'
import importlib.metadata, platform
print("python", platform.python_version())
for name in ("torch", "torch-geometric", "triton", "numpy", "safetensors", "click", "rich", "pydantic", "pytest"):
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        print(name, "not installed")
import torch
for index in range(torch.cuda.device_count()):
    gpu = torch.cuda.get_device_properties(index)
    print(f"cuda:{index}", gpu.name, f"{gpu.total_memory / 2**30:.0f} GiB", f"{gpu.multi_processor_count} multiprocessors")
raise SystemExit(None if torch.cuda.is_available() else "PyTorch sees no CUDA device")
PY
}

# Only files with GPU tests are collected, and without RDKit only those of them that do not import chemistry.
gpu_tests() {
    local chemistry='^ *(from|import) (rdkit|openmm|mdtraj|molebm\.(chem|references|preparation|parametrise|conformers|plausibility))'
    local file files=()
    while IFS= read -r file; do
        if grep -qE "$chemistry" "$file" && ! "$python" -c 'import rdkit, openmm, mdtraj' 2>/dev/null; then
            echo "left out, needs RDKit, OpenMM or MDTraj: $file"
        else
            files+=("$file")
        fi
    done < <(grep -rlE --include='test_*.py' 'mark\.gpu' tests | sort)
    if ((${#files[@]} == 0)); then
        echo "no GPU tests to run here"
        return 0
    fi
    "$python" -m pytest -m gpu -p no:cacheprovider "${files[@]}"
}

if command -v nvidia-smi >/dev/null; then stage nvidia-smi nvidia-smi; fi
stage versions versions

case ${1:-check} in
check)
    stage tests gpu_tests
    if (($# >= 2)); then # what `gpu_throughput.py prepare` wrote, where RDKit is
        stage gpu_throughput "$python" workflows/benchmarks/gpu_throughput.py measure "$2" --device cuda "${@:3}"
    fi
    ;;
train)
    (($# >= 3)) || { echo "usage: $0 train CONFIG.toml DATA_DIR [OPTION...]" >&2; exit 2; }
    [[ -f $2 ]] || { echo "$0: no such settings file: $2" >&2; exit 2; }
    [[ -d $3 ]] || { echo "$0: no such data folder: $3" >&2; exit 2; }
    # The options after DATA_DIR go to `molebm train` unchanged; the same call goes on from the last checkpoint.
    stage train "$python" -m molebm.cli.main train "$2" "$3" -o "$out/train" --device cuda "${@:4}"
    ;;
*)
    echo "usage: $0 [check [MOLECULES.safetensors [OPTION...]] | train CONFIG.toml DATA_DIR [OPTION...]]" >&2
    exit 2
    ;;
esac
finish
