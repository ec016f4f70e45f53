#!/usr/bin/env bash
# Retrain the shipped model from a SMILES library: prepare, train, calibrate, evaluate, describe.
#   workflows/train_shipped.sh LIBRARY.smi WORK_FOLDER
# An interrupted run goes on where it stopped when the same command is given again. PROCESSES (2) says how many
# processes train; their number changes the result in the last digits. On GPUs, DEVICE=cuda and one process for each.
set -euo pipefail
library=$1 work=$2
here=$(dirname "$0")
mkdir -p "$work"
if [ ! -s "$work/library.smi" ]; then
  python "$here/join_libraries.py" "$library" "$here/../data/drugs.smi" "$here/../data/silanes.smi" -o "$work/library.smi"
fi
molebm prepare "$work/library.smi" -o "$work/references" --chains 4 --max-atoms 100 || [ $? -eq 1 ]
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} torchrun --nproc-per-node "${PROCESSES:-2}" -m molebm.cli.main \
  train "$here/train.toml" "$work/references" -o "$work/run" --device "${DEVICE:-cpu}"
model=$work/run/model.safetensors
python "$here/calibrate.py" "$work/references" "$model"
python "$here/benchmarks/learned_energy.py" "$work/references" --model "$model" --stability 125 --chains 8 --json "$work/figures.json"
shipped=$here/../molebm/models/shipped
mkdir -p "$shipped"
cp "$model" "$shipped/molebm-1.safetensors"
cp "$work/run/model.json" "$shipped/molebm-1.json"
python "$here/model_card.py" "$shipped/molebm-1.json" "$work/run/log.jsonl" "$work/figures.json"
(cd "$shipped" && sha256sum molebm-1.json molebm-1.safetensors >SHA256SUMS)
