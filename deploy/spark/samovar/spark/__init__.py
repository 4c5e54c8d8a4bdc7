"""Samovar in Spark: DataFrames to data sets, training in executors, features back as a DataFrame.

    from samovar.spark import write_dataset, train, features

    write_dataset(images, "hdfs:///data/train_set", shape=(1, 28, 28), bundle=TARBALL)
    result = train(spark, "hdfs:///models/lenet_solver.prototxt", workers=8, output="hdfs:///models/out", bundle=TARBALL)
    rows = features(spark, "hdfs:///models/lenet_train_test.prototxt", result.model, "hdfs:///data/train_set", blobs=["ip2"])

The executors get this package by themselves. They get the programs by bundle=TARBALL, by `--archives TARBALL#samovar` of
spark-submit, or have them installed (SAMOVAR_HOME).
"""

from samovar.spark.dataset import DatasetInfo, write_dataset
from samovar.spark.features import features
from samovar.spark.training import train

__all__ = ["DatasetInfo", "features", "train", "write_dataset"]
