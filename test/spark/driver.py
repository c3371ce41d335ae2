"""A notebook with Spark: it configures nothing, and prints what its cluster computed, and where."""

import os

from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("notebook").getOrCreate()
context = spark.sparkContext
print("sum", context.parallelize(range(1000), 4).map(lambda number: number * number).sum())
# More than a megabyte in one result: the driver fetches it from the executor.
print("fetched", len(context.parallelize([0], 1).map(lambda _: "x" * 3_000_000).collect()[0]))
print("groups", spark.range(100).selectExpr("id % 7 as k").groupBy("k").count().count())
print("in", context.parallelize([0], 1).map(lambda _: os.getcwd()).collect()[0])
print("master", context.master, "host", context.getConf().get("spark.driver.host"))
spark.stop()
