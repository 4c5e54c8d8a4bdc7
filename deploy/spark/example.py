#!/usr/bin/env python3
"""From raw images to features, in one Spark application:

    spark-submit --archives samovar-VERSION-linux-x86_64.tar.gz#samovar example.py RAW SET SOLVER NET OUTPUT

RAW is Parquet with the columns id, label and image (28 x 28 pixels, a byte each), SET the URI of the data set that the solver's net
reads, OUTPUT a directory for model and features.
"""

import sys

from pyspark.sql import SparkSession

from samovar.spark import features, train, write_dataset

raw, dataset, solver, net, output = sys.argv[1:6]
spark = SparkSession.builder.appName("images to features").getOrCreate()

clean = spark.read.parquet(raw).where("label is not null and length(image) = 784").dropDuplicates(["id"])
made = write_dataset(clean, dataset, partitions=8, shape=(1, 28, 28), overwrite=True)
print(f"{made.records} records in {made.partitions} partitions")

# Servers on the driver's machine are open to the network that the executors are in.
result = train(spark, solver, workers=2, output=output, overwrite=True, allow_plaintext=True)
print(f"{result.iterations} iterations, loss {result.loss:.3f}, model {result.model}")

rows = features(spark, net, result.model, dataset, blobs=["ip2"])
rows.write.mode("overwrite").parquet(f"{output}/features")
saved = spark.read.parquet(f"{output}/features")
right = saved.where("array_position(ip2, array_max(ip2)) - 1 = label").count()
print(f"{right} of {saved.count()} right")
spark.stop()
