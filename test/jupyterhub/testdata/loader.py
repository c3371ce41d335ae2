"""Reads a hub's files as JupyterHub and KubeSpawner do, over and over: each line of the input is a request, each line of the
output what was read."""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from jupyterhub import orm
from kubernetes_asyncio.client import ApiClient
from kubespawner import spawner as kubespawner
from traitlets.config.loader import PyFileConfigLoader

out, sys.stdout = sys.stdout, sys.stderr
kubespawner.load_config = lambda *_, **__: None  # there is no cluster to talk to


class Named:
    def __init__(self, name, **more):
        self.name = name
        self.__dict__.update(more)


async def read(folder, groups):
    tempfile.tempdir = str(folder / "data")
    config = PyFileConfigLoader("jupyterhub_config.py", path=str(folder / "config")).load_config()
    import notebooks  # jupyterhub_config.py has said where it is

    notebooks.PROFILES_DIR = folder / "profiles"
    user = Named("alice", id=1, url="/user/alice", groups=[Named(name) for name in groups], escaped_name="alice")
    hub = Named("hub", public_host="http://hub", url="http://hub", base_url="/hub/", api_url="http://hub/api")
    spawner = notebooks.NotebookSpawner(config=config, user=user, hub=hub, orm_spawner=orm.Spawner(name=""), _mock=True)
    form = spawner._get_initialized_profile_list(notebooks.profile_list(spawner))
    spawner.user_options = {"profile": form[0]["slug"], "size": next(iter(form[0]["profile_options"]["size"]["choices"]))}
    await spawner.load_user_options()
    pod = await spawner.get_pod_manifest()
    await spawner.api.api_client.close()
    async with ApiClient() as api:
        plain = api.sanitize_for_serialization
        return {"config": config, "form": form, "limits": notebooks.choice()["limits"], "pod": plain(pod), "claim": plain(spawner.get_pvc_manifest())}


for line in sys.stdin:
    request = json.loads(line)
    folder = Path(request["folder"])
    os.environ.update({"ODH_CONFIG_DIR": str(folder / "config"), "ODH_DATA_DIR": str(folder / "data"), "ODH_EXTRA_DIR": str(folder / "extra")})
    try:
        answer = asyncio.run(read(folder, request["groups"]))
    except BaseException as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer, default=str), file=out, flush=True)
