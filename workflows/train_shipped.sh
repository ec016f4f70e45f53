#!/usr/bin/env bash
# Retrain the shipped model from a SMILES library: select, prepare, train, calibrate, evaluate.
#   workflows/train_shipped.sh LIBRARY.smi WORK_FOLDER
# An interrupted run goes on where it stopped when the same command is given again.
set -euo pipefail
library=$1 work=$2
here=$(dirname "$0")
mkdir -p "$work"
if [ ! -s "$work/selected.smi" ]; then
  python "$here/select_molecules.py" "$library" "$work/library.smi" --count "${MOLECULES:-1420}"
  cat "$work/library.smi" "$here/../data/silanes.smi" > "$work/selected.smi"
fi
molebm prepare "$work/selected.smi" -o "$work/references" --max-atoms 70 || [ $? -eq 1 ]
molebm train "$here/train.toml" "$work/references" -o "$work/run"
python "$here/calibrate.py" "$work/references" "$work/run/model.safetensors"
python "$here/benchmarks/learned_energy.py" "$work/references" --model "$work/run/model.safetensors" --stability 100
shipped=$here/../molebm/models/shipped
mkdir -p "$shipped"
cp "$work/run/model.safetensors" "$shipped/molebm-1.safetensors"
cp "$work/run/model.json" "$shipped/molebm-1.json"
