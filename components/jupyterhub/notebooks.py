"""How this hub starts notebooks: what users choose from, and what they are told when a notebook cannot start."""

import copy
import html
import json
import os
import time
from pathlib import Path

from kubernetes_asyncio.client.rest import ApiException
from kubespawner import KubeSpawner
from tornado import web

PROFILES_DIR = Path(os.environ.get("ODH_PROFILES_DIR", "/etc/jupyterhub-profiles"))
OFFERS_DIR = Path(os.environ.get("ODH_OFFERS_DIR", "/etc/jupyterhub-offers"))

# The kubelet waits 10, 20 and 40 seconds between tries: a registry that hiccups is forgiven, and the user knows within a minute.
PULL_TRIES = 3
# A container that ended this often will do so again.
RESTARTS = 2
# Seconds before start_timeout, after which JupyterHub itself gives up and says nothing but that.
BEFORE_TIMEOUT = 15

PULLING = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError")
HOPELESS = {
    "InvalidImageName": "this is not the name of an image",
    "ErrImageNeverPull": "no node has it, and none may pull it",
}
CANNOT_START = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


class CannotStart(web.HTTPError):
    """Ends the start of a notebook. JupyterHub shows the message to the user, and logs one line."""

    def __init__(self, message):
        super().__init__(500, message.replace("%", "%%"))
        self.jupyterhub_message = message


def tries(events):
    """How often the kubelet has failed to pull the image."""
    return sum(
        event.get("count") or 1
        for event in events
        if event.get("reason") == "Failed" and "ailed to pull image" in (event.get("message") or "")
    )


def statuses(pod):
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def obstacle(pod, events):
    """What keeps the Pod from starting for good, or None: then it may only take longer."""
    if (pod.get("status") or {}).get("phase") == "Failed":
        return "its Pod failed: " + (pod["status"].get("message") or pod["status"].get("reason") or "no reason given")
    for container in statuses(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason, message = waiting.get("reason"), waiting.get("message") or ""
        if reason in HOPELESS:
            return f"the image {container['image']} cannot be pulled: {HOPELESS[reason]}"
        if reason in PULLING and tries(events) >= PULL_TRIES:
            # Between two tries the message only repeats the name of the image.
            causes = [event["message"] for event in events if "ailed to pull image" in (event.get("message") or "")]
            return f"the image {container['image']} cannot be pulled: {causes[-1] if causes else message}"
        if reason in CANNOT_START:
            return f"its container {container['name']} cannot be made: {message or reason}"
        if container.get("restartCount", 0) >= RESTARTS and not container.get("ready"):
            ended = ((container.get("lastState") or {}).get("terminated")) or {}
            if ended.get("reason") == "OOMKilled":
                return "it needs more memory than its size has: choose a larger one"
            last_words = (ended.get("message") or "").strip().splitlines()
            return f"its container {container['name']} ends with exit code {ended.get('exitCode')}" + (
                f": {last_words[-1]}" if last_words else ""
            )
    return None


def delay(pod, events):
    """Why a Pod has not started so far."""
    for condition in ((pod or {}).get("status") or {}).get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return condition.get("message") or "no node takes it"
    warnings = [event["message"] for event in events if event.get("type") == "Warning"]
    return warnings[-1] if warnings else "its Events do not say why"


class NotebookSpawner(KubeSpawner):
    """Gives up on a notebook as soon as it cannot start, and says why."""

    _give_up_at = None

    def start(self):
        if reason := over_the_limit(self.user.orm_user, self.orm_spawner):
            raise CannotStart(f"There are too many notebooks: {reason}")
        self._give_up_at = time.monotonic() + self.start_timeout - BEFORE_TIMEOUT
        return super().start()

    def is_pod_running(self, pod):
        """KubeSpawner asks again and again while a notebook starts."""
        running = super().is_pod_running(pod)
        if running or self._start_future is None or self._start_future.done():
            return running
        if pod is not None and "deletionTimestamp" not in pod["metadata"]:
            if problem := obstacle(pod, self.events):
                raise CannotStart(f"The notebook cannot start: {problem}")
        if time.monotonic() > self._give_up_at:
            minutes = round(self.start_timeout / 60)
            raise CannotStart(f"The notebook did not start within {minutes} minutes: {delay(pod, self.events)}")
        return False

    async def _make_create_pod_request(self, pod, request_timeout):
        try:
            return await super()._make_create_pod_request(pod, request_timeout)
        except ApiException as error:
            try:
                reason = json.loads(error.body)["message"]
            except (KeyError, TypeError, ValueError):
                reason = error.reason
            raise CannotStart(f"The cluster refuses the notebook: {reason}") from error


# What users choose from ------------------------------------------------------------------------------------------------


def choice():
    """profiles.json, read anew each time: a change takes no restart of the hub."""
    return json.loads((PROFILES_DIR / "profiles.json").read_text())


def allowed(entries, groups):
    """The entries that members of these groups may have; those without groups are everybody's."""
    return [entry for entry in entries if not entry.get("groups") or groups.intersection(entry["groups"])]


def with_default(entries):
    """The first is the default if the one that was is not among them."""
    if not any(entry["default"] for entry in entries):
        entries = [{**entries[0], "default": True}, *entries[1:]]
    return entries


def merged(into, more):
    for key, value in more.items():
        into[key] = merged(into.get(key, {}), value) if isinstance(value, dict) else value
    return into


def offered(all_of_it):
    """The sizes with devices that nodes have now. A file is missing as long as nothing is known of the nodes."""
    base = all_of_it.get("offered")
    taken = {size["name"] for size in all_of_it["sizes"]}
    sizes = []
    for file in sorted(OFFERS_DIR.glob("*/offers.json")) if base else []:
        for offer in json.loads(file.read_text()):
            if offer["name"] in taken:
                continue
            taken.add(offer["name"])
            devices = {"extra_resource_limits": offer["resources"]}
            if offer.get("nodeSelector"):
                devices["node_selector"] = offer["nodeSelector"]
            if offer.get("tolerations"):
                devices["tolerations"] = {f"offer-{i}": toleration for i, toleration in enumerate(offer["tolerations"])}
            sizes.append(
                {
                    "name": offer["name"],
                    "displayName": f"{offer['displayName']} ({base['amounts']})",
                    "default": False,
                    "groups": base.get("groups"),
                    "override": merged(copy.deepcopy(base["override"]), devices),
                }
            )
    return sizes


def profile_list(spawner):
    """The images and sizes that a user may choose from.

    JupyterHub calls this when it shows the form and again when a notebook starts, so it also binds those who use the
    API. KubeSpawner puts the texts into the page as they are.
    """
    all_of_it = choice()
    groups = {group.name for group in spawner.user.groups}
    devices = allowed(offered(all_of_it), groups)
    images, sizes = allowed(all_of_it["images"], groups), allowed(all_of_it["sizes"], groups) + devices
    if not devices:
        images = [image for image in images if not image.get("offered")]
    if not images or not sizes:
        raise web.HTTPError(403, "None of your groups may use a notebook. Ask an administrator.")
    override = all_of_it.get("override", {})
    for volume in allowed(all_of_it.get("sharedVolumes", []), groups):
        merged(override, volume["override"])
    options = {
        size["name"]: {
            "display_name": html.escape(size["displayName"]),
            "default": size["default"],
            "kubespawner_override": size["override"],
        }
        for size in with_default(sizes)
    }
    return [
        {
            "slug": image["name"],
            "display_name": html.escape(image["displayName"]),
            "description": html.escape(image["description"]),
            "default": image["default"],
            "kubespawner_override": {"image": image["image"], **override},
            "profile_options": {"size": {"display_name": "Size", "choices": options}},
        }
        for image in with_default(images)
    ]


def running(user, besides):
    return sum(1 for spawner in user._orm_spawners if spawner.server is not None and spawner is not besides)


def over_the_limit(user, spawner):
    """Which limit another notebook of the user would exceed, or None."""
    limits = choice()["limits"]
    if 0 < limits["perUser"] <= running(user, spawner):
        return f"you may run {limits['perUser']} of them at once. Stop one first."
    mine = {group.name: group for group in user.groups}
    for limit in limits.get("groups", []):
        group = mine.get(limit["group"])
        if group and sum(running(member, spawner) for member in group.users) >= limit["activeServers"]:
            return f"your group {limit['group']} may run {limit['activeServers']} of them at once. Somebody must stop one first."
    return None
