"""DataFrame -> partitioned data set. The executors write the partitions, each with the bundle's `samovar data write-partition`, under
names that no other attempt of a task has; the driver writes the manifest last, which names those that count."""

import json
import uuid
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple

from samovar.bundle import Bundle, absolute, flag_words, join
from samovar.children import Child, messages_of
from samovar.errors import CommandFailed, RecordError, SamovarError, error_of_task
from samovar.records import END, ORDERS, Cut, KeyRanges, Shape, check_ascending, datum_of, frame, key_of
from samovar.spark.shipping import Place, attempt_id, environment, prepare

_AGAIN = "the DataFrame gave other rows when it was computed again; cache() it, or write it out first"


@dataclass(frozen=True)
class DatasetInfo:
    """A data set that was written."""
    uri: str
    records: int
    partitions: int


@dataclass(frozen=True)
class _Plan:
    """What a task must know."""
    place: Place
    uri: str
    # Tells this call from all others.
    run: str
    cut: Cut

    def write(self, index: int, records: Iterable[Tuple[str, bytes]]) -> Iterator[Tuple[int, str]]:
        """Writes a partition, and gives its line of the manifest."""
        name = f"part-{index:05d}-{self.run}-{attempt_id()}"
        words = [self.place.find().program("samovar"), "data", "write-partition", self.uri, "--name", name]
        lines: List[str] = []
        with Child(words, takes_input=True, on_line=lines.append, env=environment()) as child:
            count = 0
            try:
                for key, datum in check_ascending(records):
                    child.stdin.write(frame(key, datum))
                    count += 1
                if count != self.cut.size(index):
                    raise RecordError(f"partition {index} has {count} rows instead of {self.cut.size(index)}: {_AGAIN}")
                child.stdin.write(END)
                child.stdin.close()
            except BrokenPipeError:
                pass  # It has said why it has ended.
            code = child.wait()
            if code != 0 or len(lines) != 1:
                raise CommandFailed(messages_of(child.last_lines()), code or 1)
        yield index, lines[0]


def write_dataset(df: Any, uri: str, partitions: Optional[int] = None, id: str = "id", label: str = "label", image: str = "image",
                  shape: Optional[Shape] = None, order: str = "mixed", overwrite: bool = False,
                  bundle: Optional[str] = None) -> DatasetInfo:
    """Makes a partitioned data set of a DataFrame; nets name its URI as the source of a Data layer.

    uri: a directory in storage (hdfs:, wasb:, abfs:), or a path that all executors and workers see. It has a set when this returns, and
      otherwise what it had before: whatever fails, the manifest comes last.
    partitions: how many LMDBs the set is of; workers fetch them one by one. Without it twice as many as Spark runs tasks.
    id, label, image: the columns' names. Ids are made strings, and differ. Labels are whole numbers. Images are bytes of a JPEG or PNG
      file; or, with `shape`, pixels, a byte each, plane by plane; or numbers, an array or a vector of pyspark.ml, plane by plane too.
    shape: (channels, height, width) of images that are no files. Numbers without a shape are as many channels of one pixel.
    order: "mixed", by a digest of the ids, so that each partition has of everything; "id", by the ids; "given", as the rows come, in
      which ids may come twice. With the first two the same rows make the same set, however Spark has cut and ordered them.
    overwrite: replace a set that is there; it stays whole until the new one is.
    bundle: where the programs are, see samovar.spark.

    RecordError: names the record that is wrong. CommandFailed: there is a set already (code 2), or the storage refuses.
    """
    if order not in ORDERS:
        raise ValueError(f'order="{order}" is none of {", ".join(ORDERS)}')
    if partitions is not None and partitions < 1:
        raise ValueError(f"partitions={partitions} is no number of partitions; take 1 or more")
    if shape is not None and (len(shape) != 3 or any(int(size) != size or size < 1 for size in shape)):
        raise ValueError(f"shape={shape} is not (channels, height, width)")
    for column in (id, label, image):
        if column not in df.columns:
            raise ValueError(f'the DataFrame has no column "{column}" among {", ".join(df.columns)}')
    from pyspark.sql.functions import col
    context = df.sparkSession.sparkContext
    driver, place = prepare(context, bundle)
    uri = absolute(uri).rstrip("/")
    force = flag_words({"force": overwrite})
    driver.run("data", "write-manifest", uri, "--check", *force)
    rows = df.select(col(id).cast("string").alias("id"), col(label).alias("label"), col(image).alias("image"))
    wanted = partitions or 2 * context.defaultParallelism
    run = uuid.uuid4().hex[:8]
    size = (int(shape[0]), int(shape[1]), int(shape[2])) if shape is not None else None
    try:
        try:
            if order == "given":
                cut, home_of, keyed = _as_given(rows, wanted, size)
            else:
                cut, home_of, keyed = _by_key(rows, wanted, size, order)
            plan = _Plan(place, uri, run, cut)
            parts = keyed.repartitionAndSortWithinPartitions(cut.partitions, partitionFunc=home_of).mapPartitionsWithIndex(plan.write).collect()
        except SamovarError:
            raise
        except Exception as error:
            reason = error_of_task(error)
            if reason is None:
                raise
            raise reason from error
        driver.run("data", "write-manifest", uri, *force, text="".join(line + "\n" for _, line in sorted(parts)))
    except BaseException:
        _remove_parts(driver, uri, run)
        raise
    return DatasetInfo(uri, cut.records, cut.partitions)


def _count(rdd: Any) -> List[int]:
    """The number of elements of each partition."""
    return rdd.mapPartitions(lambda rows: [sum(1 for _ in rows)]).collect()


def _cut(records: int, partitions: int) -> Cut:
    if records == 0:
        raise RecordError("the DataFrame has no rows, and a data set has one or more")
    return Cut(records, min(partitions, records))


def _by_key(rows: Any, wanted: int, shape: Optional[Shape], order: str) -> Tuple[Cut, Callable[[str], int], Any]:
    """Ranges of keys, as many keys in each as its partition has records. The ids alone are sorted for it, so that images go over the network once."""
    keys = rows.select("id").rdd.map(lambda row: key_of(row[0], order)).sortBy(lambda key: key)
    counts = _count(keys)
    cut = _cut(sum(counts), wanted)
    wanted_at = [cut.begin(partition) for partition in range(1, cut.partitions)]
    starts = [sum(counts[:index]) for index in range(len(counts))]

    def pick(index: int, part: Iterable[str]) -> Iterator[Tuple[int, str]]:
        looked_for = set(at for at in wanted_at if starts[index] <= at < starts[index] + counts[index])
        for position, key in enumerate(part, starts[index]):
            if position in looked_for:
                yield position, key

    firsts = [key for _, key in sorted(keys.mapPartitionsWithIndex(pick).collect())]
    return cut, KeyRanges(firsts), rows.rdd.map(lambda row: (key_of(row[0], order), datum_of(row[0], row[1], row[2], shape)))


def _as_given(rows: Any, wanted: int, shape: Optional[Shape]) -> Tuple[Cut, Callable[[str], int], Any]:
    """Keys begin with the row's number."""
    cut = _cut(sum(_count(rows.rdd)), wanted)
    firsts = [key_of(".", "given", cut.begin(partition))[:-1] for partition in range(1, cut.partitions)]

    def record(numbered: Any) -> Tuple[str, bytes]:
        row, number = numbered
        return key_of(row[0], "given", number), datum_of(row[0], row[1], row[2], shape)

    return cut, KeyRanges(firsts), rows.rdd.zipWithIndex().map(record)


def _remove_parts(driver: Bundle, uri: str, run: str) -> None:
    """Removes what the tasks of this call have left; what cannot be removed does no harm, and the next set that is made there removes it."""
    try:
        entries = [json.loads(line)["name"].rstrip("/") for line in driver.run("fs", "ls", uri, "--json").splitlines()]
        for name in entries:
            if name.startswith("part-") and f"-{run}-" in name:
                driver.run("fs", "rm", join(uri, name), "--recursive")
    except (SamovarError, OSError, ValueError):
        pass
