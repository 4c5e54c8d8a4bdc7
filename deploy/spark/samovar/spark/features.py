"""Data set and model -> DataFrame: each task runs the bundle's `samovar features` on a partition."""

import json
import re
from dataclasses import dataclass
from typing import Any, Iterator, List, Optional, Sequence, Tuple

from samovar.bundle import Bundle, absolute, join
from samovar.children import Child, messages_of
from samovar.errors import CommandFailed
from samovar.records import id_of
from samovar.spark.shipping import Place, environment, prepare

_DIRECTORY = re.compile(r'\bdirectory: "([^"]+)"')


@dataclass(frozen=True)
class _Plan:
    """What a task must know."""
    place: Place
    model: str
    weights: str
    blobs: Tuple[str, ...]
    label: Optional[str]
    threads: int
    keep_keys: bool

    def rows(self, data: str) -> Iterator[tuple]:
        """The rows of a partition, in the order of keys."""
        words = [self.place.find().program("samovar"), "features", "--model", self.model, "--weights", self.weights, "--data", data,
                 "--blobs", ",".join(self.blobs), "--threads", str(self.threads), "--output", "-"]
        if self.label is not None:
            words += ["--label", self.label]
        with Child(words, gives_output=True, env=environment()) as child:
            for line in child.stdout:
                row = json.loads(line)
                key = row["SampleID"]
                values = [key if self.keep_keys else id_of(key), *(row[blob] for blob in self.blobs)]
                yield (*values, int(row[self.label][0])) if self.label is not None else tuple(values)
            code = child.wait()
            if code != 0:
                raise CommandFailed(f"features of {data}: {messages_of(child.last_lines())}", code or 1)


def partitions_of(bundle: Bundle, uri: str) -> List[str]:
    """What the tasks read: the partitions of a set, or the LMDB."""
    names = {json.loads(line)["name"] for line in bundle.run("fs", "ls", uri, "--json").splitlines()}
    if "data.mdb" in names:
        return [uri]
    if "manifest" not in names:
        raise CommandFailed(f"{uri}: is neither an LMDB nor a partitioned set: it has no manifest", 2)
    directories = _DIRECTORY.findall(bundle.run("fs", "cat", join(uri, "manifest")))
    return [join(uri, directory) for directory in directories]


def features(spark: Any, model: str, weights: str, dataset: str, blobs: Sequence[str], label: Optional[str] = "label",
             keys: bool = False, bundle: Optional[str] = None) -> Any:
    """A DataFrame with the blobs of a net for each record of a data set: id string, each blob array<float>, label int.

    model: the net's prototxt, as it is in phase TEST, with a data layer. weights: the .caffemodel. dataset: the set to read instead of
      where the net says. All are URIs, or paths that all executors see.
    blobs: their names, which are the columns' names. label: the blob with the label, the last column; None: there is none.
    keys: the column id has the records' keys as they are; without it what write_dataset has put before the ids is taken away.
    bundle: where the programs are, see samovar.spark.

    The DataFrame is lazy, as Spark's are: each action computes it anew, a task a partition; cache() it to use it twice. A task that
    fails is tried again by Spark, and the action fails with the reason after that.
    """
    names = [blobs] if isinstance(blobs, str) else list(blobs)
    if not names:
        raise ValueError("blobs= names none; name one or more")
    columns = ["id", *names, *([label] if label is not None else [])]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ValueError(f'the DataFrame would have the column "{twice[0]}" twice; each of id, blobs= and label= needs a name of its own')
    from pyspark.sql.types import ArrayType, FloatType, IntegerType, StringType, StructField, StructType
    context = spark.sparkContext
    driver, place = prepare(context, bundle)
    threads = int(context.getConf().get("spark.task.cpus", "1"))
    plan = _Plan(place, absolute(model), absolute(weights), tuple(names), label, threads, keys)
    data = partitions_of(driver, absolute(dataset).rstrip("/"))
    schema = StructType([StructField("id", StringType(), False), *(StructField(name, ArrayType(FloatType()), False) for name in names),
                         *([StructField(label, IntegerType(), False)] if label is not None else [])])
    rows = context.parallelize(data, len(data)).flatMap(plan.rows)
    return spark.createDataFrame(rows, schema, verifySchema=False)
