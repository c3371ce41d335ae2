"""A notebook with Spark that works on the data lake by s3a://, without a word about where it is."""

import os

from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("lake").getOrCreate()
path = f"s3a://{os.environ['AWS_S3_BUCKET']}/numbers"
spark.range(1000).write.parquet(path)
print("read", spark.read.parquet(path).count())

# Amazon's SDK for Java, version 2, by itself: the variables say all but how buckets are addressed.
s3 = spark._jvm.software.amazon.awssdk.services.s3.S3Client.builder().forcePathStyle(True).build()
print("java", sorted(bucket.name() for bucket in s3.listBuckets().buckets()))
print("logs", spark.conf.get("spark.eventLog.enabled", "false"))
spark.stop()
