"""A session that needs nothing but itself."""

from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("session").getOrCreate()
print("counted", spark.range(1000).count(), "logs", spark.conf.get("spark.eventLog.enabled", "false"))
spark.stop()
