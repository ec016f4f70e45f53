# Conformers of a library: generate -> score -> merge. Shard 3/10 is every tenth molecule from the third, so that none is
# all of the large ones; it is cut by `molebm generate` while reading, and no file is written for it.

SHARDS = [f"{number:04d}-of-{config['shards']:04d}" for number in range(1, config["shards"] + 1)]
SCORED = config["score"]["wanted"]
MERGED = {
    "structures": f"{RESULTS}/conformers.sdf.gz",
    "table": f"{RESULTS}/conformers.{config['table']}",
    **({"page": f"{RESULTS}/conformers.html"} if SCORED else {}),
}


wildcard_constraints:
    shard=r"\d{4}-of-\d{4}",


rule generate:
    input:
        config["input"],
    output:
        f"{RESULTS}/shards/{{shard}}.sdf.gz",
    params:
        shard=lambda wildcards: "/".join(str(int(number)) for number in wildcards.shard.split("-of-")),
        seed=config["seed"],
        options=config["generate"]["options"],
    threads: config["generate"]["threads"]
    resources:
        mem_mb=lambda wildcards, attempt, threads: attempt * (1500 + 1000 * threads),
        runtime=240,
    shell:
        "molebm generate {input:q} -o {output:q} --shard {params.shard} --seed {params.seed} "
        "--threads {threads} --resume --quiet {params.options} " + SOME_FAILED


rule score:
    input:
        f"{RESULTS}/shards/{{shard}}.sdf.gz",
    output:
        f"{RESULTS}/shards/{{shard}}.scores.csv",
    params:
        options=config["score"]["options"],
    threads: config["score"]["threads"]
    resources:
        mem_mb=lambda wildcards, attempt, threads: attempt * (2000 + 500 * threads),
        runtime=240,
    shell:
        "molebm score {input:q} -o {output:q} --threads {threads} --resume --quiet {params.options} " + SOME_FAILED


rule merge:
    input:
        source=config["input"],
        shards=expand(f"{RESULTS}/shards/{{shard}}.sdf.gz", shard=SHARDS),
        scores=expand(f"{RESULTS}/shards/{{shard}}.scores.csv", shard=SHARDS) if SCORED else [],
    output:
        **MERGED,
    params:
        n_shards=config["shards"],
        scores=lambda wildcards, output: f"--scores --report '{output.page}'" if SCORED else "",
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 4000,
        runtime=240,
    shell:
        "molebm merge {input.shards:q} -o {output.structures:q} --input {input.source:q} --shards {params.n_shards} "
        "--table {output.table:q} {params.scores} --resume --quiet " + SOME_FAILED
