"""What scripts/benchmark.py prints of what it measured."""

# Forward, and backward by the weights and by the inputs: each as many operations.
PASSES = {"network": 1, "training": 3}
AROUND = ("input", "paste")  # stages that are not in the network
WITHIN = ("targets", "losses")  # stages that are parts of "forward"


def work(kind, gflop, seconds, ceiling):
    """Returns a dict: GFLOP, GFLOP/s and the share of the machine's ceiling.

    Args:
        kind: "network" or "training".
        gflop: of one pass forward.
        seconds: that all passes took.
        ceiling: GFLOP/s of a large convolution.
    """
    gflop *= PASSES[kind]
    rate = gflop / seconds
    return {"gflop": gflop, "gflop_per_second": rate, "share": rate / ceiling}


def show(result, peer):
    """Prints what one job gave.

    Args:
        result: dict, see `benchmark.report`.
        peer: the name of the other side, or None.
    """
    for name in ("ours", peer) if peer else ("ours",):
        side = result[name]
        told = {key: value for key, value in side["found"].items() if key != "gflop"}
        found = ", ".join(f"{value:g} {key}" for key, value in told.items())
        gpu = f", {side['gpu_peak_mb']:.0f} MB of GPU" if "gpu_peak_mb" in side else ""
        print(
            f"{result['kind']:9}{result['size']:5}  {name:12}{side['median']:8.3f} s  "
            f"({side['first_quartile']:.3f} to {side['third_quartile']:.3f})"
            f"{side['peak_mb']:7.0f} MB, {side['peak_mb'] - side['libraries_mb']:.0f} "
            f"beyond the libraries{gpu}; {found}",
            flush=True,
        )
    if peer:
        print(
            f"{'':16}ratio       {result['ratio']:8.3f}    memory "
            f"{result['ours']['peak_mb'] / result[peer]['peak_mb']:.3f}"
        )
        if not result["compiled_operators"]:
            print(
                f"{'':16}UNFAIR: {peer}'s compiled RoIAlign and NMS do not load there; "
                "Python does their work, and takes many times as long"
            )
    if "work" in result:
        done, ceiling = result["work"], result["ceiling"]
        print(
            f"{'':16}{done['gflop']:.1f} GFLOP, {done['gflop_per_second']:.0f} in a "
            f"second, {done['share']:.0%} of what a 3x3x256 convolution reaches, "
            f"{ceiling['convolution']:.0f} (a matrix product {ceiling['matrix']:.0f})"
        )
    if "stages" in result:
        whole = result["ours"]["median"]
        show_stages(result["stages"], whole, result["ceiling"]["convolution"])


def show_stages(stages, whole, ceiling):
    """Prints a row for each stage, and their sum beside what the whole took."""
    parts = [row["median"] for name, row in stages.items() if name not in WITHIN]
    around = [stages[name]["median"] for name in AROUND if name in stages]
    heads = f"{'ms':>9}{'of all':>8}{'GFLOP':>9}{'GFLOP/s':>9}{'share':>7}"
    print(f"{'':16}{'stage':16}{heads}")
    for name, row in stages.items():
        line = f"{'':16}{name:16}{1000 * row['median']:9.1f}"
        line += f"{row['median'] / sum(parts):8.1%}"
        if row.get("gflop"):
            rate = row["gflop"] / row["median"]
            line += f"{row['gflop']:9.2f}{rate:9.0f}{rate / ceiling:7.0%}"
        print(line + ("  (part of forward)" if name in WITHIN else ""))
    total = 1000 * (sum(parts) - sum(around))
    print(
        f"{'':16}{'sum':16}{1000 * sum(parts):9.1f}, without input and paste "
        f"{total:.1f}; the whole ran in {1000 * whole:.1f}",
        flush=True,
    )


def show_steady(result):
    """Prints the rows of --steady."""
    for name, row in result.items():
        print(
            f"{row['count']} {name}: {row['settled_mb']:.0f} MB settled, "
            f"{row['end_mb']:.0f} MB at the end, at most "
            f"{row['largest_deviation_percent']:.1f} % away; {row['traces']} traces "
            f"for {row['padded_shapes']} padded shapes",
            flush=True,
        )


def show_start(result):
    """Prints the row of --start."""
    parts = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in result.items())
    print(f"from the import to the end of the first step: {parts}", flush=True)
