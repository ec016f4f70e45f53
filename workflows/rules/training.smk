# An energy of one's own: prepare -> train -> evaluate -> describe. References and checkpoints are no outputs of the
# rules, so that Snakemake leaves them where they are when a job is run again.

TRAIN = config["train"]
REFERENCES = f"{RESULTS}/references"
MODEL = f"{RESULTS}/model"
MODEL_CARD = f"{MODEL}/model_card.md"
TRAINER = (
    "molebm"
    if max(TRAIN["processes"], TRAIN["gpus"]) == 1
    else f"torchrun --standalone --nproc-per-node {TRAIN['gpus'] or TRAIN['processes']} -m molebm.cli.main"
)


rule prepare:
    input:
        TRAIN["library"],
    output:
        f"{REFERENCES}/manifest.json",
    params:
        folder=REFERENCES,
        options=TRAIN["prepare"],
        seed=config["seed"],
    threads: TRAIN["threads"]
    resources:
        mem_mb=lambda wildcards, attempt, threads: attempt * (1000 + 1000 * threads),
        runtime=720,
    shell:
        "molebm prepare {input:q} -o {params.folder:q} --seed {params.seed} --threads {threads} --quiet "
        "{params.options} " + SOME_FAILED


rule train:
    input:
        references=rules.prepare.output,
        settings=TRAIN["settings"] or os.path.join(HERE, "train.toml"),
    output:
        weights=f"{MODEL}/model.safetensors",
        described=f"{MODEL}/model.json",
        log=f"{MODEL}/log.jsonl",
    params:
        folder=REFERENCES,
        run=f"{RESULTS}/run",
        device="cuda" if TRAIN["gpus"] else "cpu",
        trainer=TRAINER,
    threads: TRAIN["processes"]
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 16000,
        runtime=1440,
    shell:
        "{params.trainer} train {input.settings:q} {params.folder:q} -o {params.run:q} --device {params.device} --quiet; "
        "cp {params.run:q}/model.safetensors {output.weights:q}; cp {params.run:q}/model.json {output.described:q}; "
        "cp {params.run:q}/log.jsonl {output.log:q}"


rule evaluate:
    input:
        references=rules.prepare.output,
        weights=rules.train.output.weights,
        described=rules.train.output.described,
    output:
        f"{MODEL}/figures.json",
    params:
        folder=REFERENCES,
        script=os.path.join(HERE, "benchmarks", "learned_energy.py"),
        options=TRAIN["evaluate"],
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 8000,
        runtime=720,
    shell:
        "python {params.script:q} {params.folder:q} --model {input.weights:q} --json {output:q} {params.options}"


rule describe:
    input:
        described=rules.train.output.described,
        log=rules.train.output.log,
        figures=rules.evaluate.output,
    output:
        card=MODEL_CARD,
        curves=f"{MODEL}/training.png",
    params:
        script=os.path.join(HERE, "model_card.py"),
    shell:
        "python {params.script:q} {input.described:q} {input.log:q} {input.figures:q} --card {output.card:q} "
        "--curves {output.curves:q}"
