"""JupyterHub in an Open Data Hub platform.

This file is the same on every platform: values come from config.json beside it, from profiles.json, and secrets from
the environment. Nothing is templated into it, so nothing that a person writes into a resource can become code here.

The folders can be moved by environment variables, to run the file outside a Pod.
"""

import asyncio
import errno
import hmac
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlparse

import certifi
import nativeauthenticator
from jupyterhub.handlers import BaseHandler
from jupyterhub.handlers.pages import HealthCheckHandler
from nativeauthenticator.handlers import (
    ChangePasswordHandler,
    DiscardHandler,
    LoginHandler,
    ToggleAuthorizationHandler,
)
from nativeauthenticator.orm import UserInfo
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool
from tornado import web

CONFIG_DIR = Path(os.environ.get("ODH_CONFIG_DIR", "/etc/jupyterhub"))
DATA_DIR = Path(os.environ.get("ODH_DATA_DIR", "/srv/jupyterhub"))
HUB_PORT = int(os.environ.get("ODH_HUB_PORT", "8081"))

# Certificate authorities of an OpenShift cluster: that of the API server and those its administrators trust.
CLUSTER_CA = (
    Path("/run/secrets/kubernetes.io/serviceaccount/ca.crt"),
    Path("/etc/jupyterhub-ca/ca-bundle.crt"),
)

ADMIN = "admin"
# bcrypt refuses longer passwords with an exception.
MAX_PASSWORD_BYTES = 72

c = get_config()  # noqa: F821 (JupyterHub puts it here)
config = json.loads((CONFIG_DIR / "config.json").read_text())

# config.json has names and values of JupyterHub's own options, by class.
for class_name, options in config["options"].items():
    c[class_name].update(options)

DATABASE_URI = os.environ.get("ODH_DATABASE_URI")
c.JupyterHub.db_url = DATABASE_URI or f"sqlite:///{DATA_DIR}/jupyterhub.sqlite"
if DATABASE_URI:
    # Connections that PostgreSQL or a firewall has closed are noticed before they are used.
    c.JupyterHub.db_kwargs = {"pool_pre_ping": True}
c.JupyterHub.hub_bind_url = f"http://:{HUB_PORT}"
c.JupyterHub.cleanup_servers = False  # notebooks outlive a restart of the hub
c.ConfigurableHTTPProxy.should_start = False  # it has a Pod of its own


# Notebooks -----------------------------------------------------------------------------------------------------------

sys.path.insert(0, str(CONFIG_DIR))
import notebooks  # noqa: E402 (a file beside this one)

c.JupyterHub.spawner_class = notebooks.NotebookSpawner
c.KubeSpawner.profile_list = notebooks.profile_list


# Database ------------------------------------------------------------------------------------------------------------

# SQLite writes a journal before it writes, so it needs room even to change what is there.
ROOM = 16 << 20
# Seconds for which an answer is good: the readiness probe asks more often.
FRESH = 10


class Database:
    """Whether the hub can use its database. JupyterHub itself does not look: it answers that it is healthy, and every
    login with status 500."""

    def __init__(self):
        self.problem, self.checked = None, -math.inf

    def check(self):
        try:
            self.connect() if DATABASE_URI else self.ask_for_room()
        except OSError as error:
            return f"cannot write to the database of the hub: {error.strerror}"
        except SQLAlchemyError as error:
            # What psycopg2 says has no password.
            words = str(getattr(error, "orig", error)).strip().splitlines() or [type(error).__name__]
            return f"cannot use the database of the hub: {words[0]}"
        return None

    def ask_for_room(self):
        """Fails when the volume is full, over its quota, read-only or broken."""
        with tempfile.TemporaryFile(dir=DATA_DIR) as file:
            os.posix_fallocate(file.fileno(), 0, ROOM)

    def connect(self):
        engine = create_engine(DATABASE_URI, poolclass=NullPool, connect_args={"connect_timeout": 5})
        with engine.connect() as connection:
            if connection.scalar(text("SELECT current_setting('transaction_read_only')")) == "on":
                raise OSError(errno.EROFS, "it is read-only")

    async def look(self):
        if time.monotonic() - self.checked > FRESH:
            self.checked = time.monotonic()
            before, self.problem = self.problem, await asyncio.to_thread(self.check)
            if self.problem != before:
                print(self.problem or "the database of the hub works again", file=sys.stderr, flush=True)
        return self.problem


database = Database()
if problem := database.check():
    sys.exit(problem if DATABASE_URI else f"{problem}; raise jupyterHub.database.size")


class ReadyHandler(HealthCheckHandler):
    """The readiness probe. The hub goes on serving what needs no database, see its Service. Anybody can ask, so why is in the log."""

    async def get(self):
        if await database.look():
            self.set_status(503)


# Deprecated in favour of services, which are processes of their own. This is about the hub's.
c.JupyterHub.extra_handlers = [(r"/ready", ReadyHandler)]


# Login ---------------------------------------------------------------------------------------------------------------


def only_declared_administrators(_authenticator, _handler, user):
    """Takes the rights of an administrator from whoever is none any more, where JupyterHub only ever grants them."""
    user["admin"] = bool(user.get("admin"))
    return user


c.Authenticator.post_auth_hook = only_declared_administrators


def from_own_page(handler_class):
    """These pages act on a GET, so a link on someone else's page could make an administrator let a user in."""

    class FromOwnPage(handler_class):
        async def prepare(self):
            await super().prepare()
            site = self.request.headers.get("Sec-Fetch-Site")
            if site is None:  # browsers send it to https addresses only
                referrer = urlparse(self.request.headers.get("Referer", ""))
                site = "same-origin" if referrer.netloc == self.request.host else "cross-site"
            if site != "same-origin":
                raise web.HTTPError(403, "Open the page Authorize Users and follow the link there.")

    return FromOwnPage


class LoginPageHandler(LoginHandler):
    """Shows errors on the page for errors: NativeAuthenticator's login page cannot, and fails while it tries."""

    def render_template(self, name, **values):
        if name == "error.html":
            return BaseHandler.render_template(self, name, **values)
        return super().render_template(name, **values)


class OwnPasswordHandler(ChangePasswordHandler):
    """Everybody but the generated administrator changes the password here."""

    async def prepare(self):
        await super().prepare()
        if self.current_user and self.current_user.name == ADMIN:
            raise web.HTTPError(403, "The password of admin is in a Secret of the platform; change it there.")


class LocalAuthenticator(nativeauthenticator.NativeAuthenticator):
    """People sign up and an administrator lets them in. The first administrator needs neither: the operator generated
    the password, which is compared here and stored nowhere else, so nobody can be quicker to take the name."""

    handlers = {
        ChangePasswordHandler: OwnPasswordHandler,
        DiscardHandler: from_own_page(DiscardHandler),
        LoginHandler: LoginPageHandler,
        ToggleAuthorizationHandler: from_own_page(ToggleAuthorizationHandler),
    }

    def get_handlers(self, app):
        return [(path, self.handlers.get(handler, handler)) for path, handler in super().get_handlers(app)]

    async def authenticate(self, handler, data):
        password = data.get("password", "").encode()
        if self.normalize_username(data.get("username", "")) == ADMIN:
            return ADMIN if hmac.compare_digest(password, ADMIN_PASSWORD) else None
        if len(password) > MAX_PASSWORD_BYTES:
            data["password"] = ""  # the login page looks at it once more
            return None
        return await super().authenticate(handler, data)

    def user_exists(self, username):
        return self.normalize_username(username) == ADMIN or super().user_exists(username)

    def is_password_strong(self, password):
        return len(password.encode()) <= MAX_PASSWORD_BYTES and super().is_password_strong(password)

    def get_authed_users(self):
        """Without this, whoever signs up first with the name of an administrator is let in at once."""
        return {user.username for user in UserInfo.all_users(self.db) if user.is_authorized}


def native_templates():
    """NativeAuthenticator's pages, without a link that the generated administrator may not follow, and with words on the
    button that shows the password: few systems have the glyph of an eye."""
    folder = Path(tempfile.mkdtemp())
    for page in (Path(nativeauthenticator.__file__).parent / "templates").glob("*.html"):
        lines = page.read_text().replace("\N{EYE}", "Show").replace("\N{KEY}", "Hide").splitlines(keepends=True)
        for i, line in enumerate(lines):
            if page.name == "page.html" and "change-password" in line:
                lines[i] = f'{{% if user and user.name != "{ADMIN}" %}}{line}{{% endif %}}'
        (folder / page.name).write_text("".join(lines))
    return folder


if config["login"] == "Local":
    ADMIN_PASSWORD = os.environ["ODH_ADMIN_PASSWORD"].encode()
    if len(ADMIN_PASSWORD) < 16:
        sys.exit("the password of admin is too short: use 16 characters or more")
    c.JupyterHub.authenticator_class = LocalAuthenticator
    c.JupyterHub.template_paths = [str(native_templates())]

if config["clusterCA"]:
    bundle = Path(tempfile.mkdtemp()) / "ca-bundle.crt"
    bundle.write_text("\n".join(path.read_text() for path in (Path(certifi.where()), *CLUSTER_CA) if path.exists()))
    c.OAuthenticator.http_request_kwargs = {"ca_certs": str(bundle)}


# Services ------------------------------------------------------------------------------------------------------------

c.JupyterHub.services = [{"name": "prometheus", "api_token": os.environ["ODH_TOKEN_PROMETHEUS"]}]
c.JupyterHub.load_roles = [{"name": "prometheus", "services": ["prometheus"], "scopes": ["read:metrics"]}]

if culling := config.get("culling"):
    c.JupyterHub.services.append(
        {
            "name": "idle-culler",
            "command": [
                sys.executable,
                "-m",
                "jupyterhub_idle_culler",
                f"--url=http://localhost:{HUB_PORT}/hub/api",
                f"--timeout={culling['idleTimeoutSeconds']}",
                f"--max-age={culling['maxAgeSeconds']}",
                f"--cull-every={min(600, culling['idleTimeoutSeconds'] // 2)}",
            ],
        }
    )
    c.JupyterHub.load_roles.append(
        {
            "name": "idle-culler",
            "services": ["idle-culler"],
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        }
    )


# extraConfig ---------------------------------------------------------------------------------------------------------

# Python of the spec, in a file of its own, which load_test.py has tried before. It comes last, so that it can change everything above.
EXTRA = Path(os.environ.get("ODH_EXTRA_DIR", "/etc/jupyterhub-extra")) / "extra.py"
if EXTRA.exists():
    exec(compile(EXTRA.read_text(), "extraConfig", "exec"), {"__name__": "extraConfig", "c": c, "get_config": get_config})  # noqa: F821
