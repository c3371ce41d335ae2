"""What a user does in a notebook: the server comes from the environment alone."""

import os
import socket
import sys
from pathlib import Path

# The Service, which DNS would know in a cluster.
resolve = socket.getaddrinfo


def service(host, port, *args, **kwargs):
    if str(host).endswith(".svc"):
        host, port = "127.0.0.1", int(os.environ["TEST_PORT"])
    return resolve(host, port, *args, **kwargs)


socket.getaddrinfo = service

import mlflow  # noqa: E402

step, folder = sys.argv[1], Path(sys.argv[2])
if step == "log":
    mlflow.set_experiment("churn")
    with mlflow.start_run(run_name="first") as run:
        mlflow.log_param("depth", 3)
        for epoch in range(20):
            mlflow.log_metric("loss", 1 / (epoch + 1), step=epoch)
        note = folder / "note.txt"
        note.write_text("kept in S3")
        mlflow.log_artifact(str(note))
    client = mlflow.MlflowClient()
    client.create_registered_model("churn")
    client.create_model_version("churn", f"runs:/{run.info.run_id}/note.txt", run.info.run_id)
    print(run.info.run_id)
else:
    runs = mlflow.search_runs(experiment_names=["churn"])
    assert list(runs["params.depth"]) == ["3"], runs
    assert abs(runs["metrics.loss"][0] - 0.05) < 1e-9, runs
    path = mlflow.artifacts.download_artifacts(run_id=runs["run_id"][0], artifact_path="note.txt", dst_path=str(folder))
    print(Path(path).read_text(), mlflow.MlflowClient().get_registered_model("churn").latest_versions[0].version)
