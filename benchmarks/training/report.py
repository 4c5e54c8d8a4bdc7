"""What the rounds of several sides say: medians, their spread, and ratios of the same round."""

import statistics

# A round is quiet if all other processes together used less than this many processors.
QUIET = 0.1


def values(side, figure, quiet=False):
    return [entry[figure] for entry in side.rounds if not quiet or entry["others"] < QUIET]


def ratios(over, under, figure, quiet=False):
    return [a[figure] / b[figure] for a, b in zip(over.rounds, under.rounds) if not quiet or max(a["others"], b["others"]) < QUIET]


def spread(of, digits):
    return f"median {statistics.median(of):.{digits}f} ({min(of):.{digits}f} to {max(of):.{digits}f}, {len(of)} rounds)"


def figures(side):
    speeds = values(side, "images_per_second")
    about = {key: side.about[key] for key in ("version", "import_mib", "gemm_gflops") if key in side.about}
    return {"images_per_second": round(statistics.median(speeds), 2), "images_per_second_spread": [round(min(speeds), 2), round(max(speeds), 2)],
            "images_per_cpu_second": round(statistics.median(values(side, "images_per_cpu_second")), 2), "peak_mib": round(side.peak_mib()), **about}


def result(net, threads, sides, left_out):
    """The object that --json prints: the engine, the fastest peer, and all peers."""
    peers = {name: figures(side) for name, side in sides.items() if name != "samovar"}
    best = max(peers, key=lambda name: peers[name]["images_per_second"])
    of_best = ratios(sides["samovar"], sides[best], "images_per_second")
    others = [entry["others"] for side in sides.values() for entry in side.rounds]
    return {
        "net": net.name, "threads": threads, "batch": net.batch, "level": sides["samovar"].about["level"], "rounds": len(sides["samovar"].rounds),
        "parameters": sides["samovar"].about["parameters"], **figures(sides["samovar"]),
        "best_peer": best, "best_peer_images_per_second": peers[best]["images_per_second"],
        "ratio": round(statistics.median(of_best), 3), "ratio_spread": [round(min(of_best), 3), round(max(of_best), 3)],
        "best_peer_peak_mib": peers[best]["peak_mib"], "others_processors": round(statistics.median(others), 2), "peers": peers, "left_out": left_out,
    }


def print_text(threads, sides, of_net):
    print(f"{of_net['net']}, batch {of_net['batch']}, threads {threads}: engine for {of_net['level']}; others used "
          f"{of_net['others_processors']:.2f} processors")
    for name, peer in of_net["peers"].items():
        product = f", matrix product {peer['gemm_gflops']} GFLOP/s" if "gemm_gflops" in peer else ""
        print(f"  {name}: {peer['version']}{product}")
    for name, reason in of_net["left_out"].items():
        print(f"  {name} is left out: {reason}")
    for figure, quiet in (("images_per_cpu_second", False), ("images_per_second", False), ("images_per_second", True)):
        print(f"  {figure}, {'quiet' if quiet else 'all'} rounds")
        for name, side in sides.items():
            if values(side, figure, quiet):
                print(f"    {name}: {spread(values(side, figure, quiet), 1)}")
        for name, side in sides.items():
            of_peer = ratios(sides["samovar"], side, figure, quiet)
            if name != "samovar" and of_peer:
                print(f"    samovar / {name}, ratios of the same round: {spread(of_peer, 2)}")
    for name, side in sides.items():
        print(f"  peak of resident memory, {name}: {side.peak_mib():.0f} MiB", flush=True)


def print_gains(by_threads):
    """How much more threads bring, of each system: ratios of medians, since rounds of different numbers of threads are apart."""
    first, *more = by_threads.items()
    for threads, of_net in more:
        gain = of_net["images_per_second"] / first[1]["images_per_second"]
        print(f"{of_net['net']}: engine, {threads} threads / {first[0]}: {gain:.2f}")
