"""A slixmpp client driven step by step.

Each line on standard input is a JSON object: {"id": 1, "do": "login", "timeout": 30, ...}. Each answer is a line on
standard output: {"id": 1, "ok": true, ...} or {"id": 1, "ok": false, "error": "..."}. Steps may run at the same time;
each ends by its timeout. The client ends with its standard input.
"""

import asyncio
import hashlib
import io
import json
import logging
import os
import ssl
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import slixmpp
from slixmpp.exceptions import IqError, IqTimeout, PresenceError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath
from slixmpp.xmlstream.tostring import tostring

CLIENT = "{jabber:client}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
DATA = "{jabber:x:data}"
COMMANDS = "{http://jabber.org/protocol/commands}"
ITEMS = "{http://jabber.org/protocol/disco#items}"
INFO = "{http://jabber.org/protocol/disco#info}"
VALIDATE = "{http://jabber.org/protocol/xdata-validate}"
PLUGINS = ["xep_0004", "xep_0030", "xep_0050", "xep_0115", "xep_0184", "xep_0199", "xep_0202", "xep_0203"]


class StepError(Exception):
    """A step that failed in a way worth telling, with what else there is to know."""

    def __init__(self, text, **more):
        super().__init__(text)
        self.more = more


def local(tag):
    return tag.rsplit("}", 1)[-1]


def text_of(element, name):
    child = element.find(CLIENT + name)
    return "" if child is None else (child.text or "")


def read_error(element):
    """The <error/> of a stanza: type, condition, the application's own conditions and text."""
    error = element.find(CLIENT + "error")
    if error is None:
        return None
    result = {"type": error.get("type", ""), "condition": "", "text": "", "application": []}
    for child in error:
        if child.tag == STANZAS + "text":
            result["text"] = child.text or ""
        elif child.tag.startswith(STANZAS):
            result["condition"] = local(child.tag)
        else:
            result["application"].append(local(child.tag))
    return result


def read_field(field):
    result = {
        "var": field.get("var", ""),
        "type": field.get("type", ""),
        "label": field.get("label", ""),
        "values": [v.text or "" for v in field.findall(DATA + "value")],
        "required": field.find(DATA + "required") is not None,
        "options": [
            {"label": o.get("label", ""), "value": (o.findtext(DATA + "value") or "")}
            for o in field.findall(DATA + "option")
        ],
    }
    validate = field.find(VALIDATE + "validate")
    if validate is not None:
        result["datatype"] = validate.get("datatype", "")
        limits = validate.find(VALIDATE + "range")
        if limits is not None:
            result["range"] = [limits.get("min", ""), limits.get("max", "")]
    return result


def read_form(x):
    def cells(parent):
        return {f.get("var", ""): (f.findtext(DATA + "value") or "") for f in parent.findall(DATA + "field")}

    reported = x.find(DATA + "reported")
    return {
        "type": x.get("type", ""),
        "title": x.findtext(DATA + "title") or "",
        "instructions": x.findtext(DATA + "instructions") or "",
        "fields": [read_field(f) for f in x.findall(DATA + "field")],
        "reported": [] if reported is None else
                    [{"var": f.get("var", ""), "label": f.get("label", "")} for f in reported.findall(DATA + "field")],
        "items": [cells(i) for i in x.findall(DATA + "item")],
    }


def read_command(iq):
    command = iq.find(COMMANDS + "command")
    if command is None:
        raise StepError("the answer holds no command", xml=tostring(iq))
    actions = command.find(COMMANDS + "actions")
    form = command.find(DATA + "x")
    return {
        "node": command.get("node", ""),
        "session": command.get("sessionid", ""),
        "status": command.get("status", ""),
        "actions": [] if actions is None else [local(a.tag) for a in actions],
        "execute": "" if actions is None else actions.get("execute", ""),
        "notes": [{"type": n.get("type", "info"), "text": n.text or ""} for n in command.findall(COMMANDS + "note")],
        "form": None if form is None else read_form(form),
    }


def read_stanza(stanza):
    element = stanza.xml
    result = {
        "kind": local(element.tag),
        "from": element.get("from", ""),
        "to": element.get("to", ""),
        "id": element.get("id", ""),
        "type": element.get("type", ""),
        "error": read_error(element),
        "xml": tostring(element),
    }
    if result["kind"] == "presence":
        result["type"] = result["type"] or "available"
        result.update(show=text_of(element, "show"), status=text_of(element, "status"), priority=text_of(element, "priority"))
    else:
        result.update(body=text_of(element, "body"))
    return result


class Client(slixmpp.ClientXMPP):
    """The client, and what it has received and no step has asked for yet."""

    def __init__(self, jid, password, ca_file, domain, plugins=()):
        super().__init__(jid, password)
        for plugin in [*PLUGINS, *plugins]:
            self.register_plugin(plugin)
        self["xep_0184"].auto_ack = True
        self.auto_authorize = True
        self.auto_subscribe = False
        self.domain = domain
        self.ssl_context = ssl.create_default_context(cafile=ca_file)  # verifies the chain and the name
        self.ca_certs = Path(ca_file)
        self.inbox = []
        self.latest = {}
        self.pushes = {}
        self.arrived = asyncio.Event()
        self.started = asyncio.get_event_loop().create_future()
        self.ended = asyncio.get_event_loop().create_future()
        # slixmpp's own events leave out messages without a body.
        for kind in ("message", "presence"):
            self.register_handler(Callback("inbox " + kind, MatchXPath(CLIENT + kind), self.on_stanza))
        self.add_event_handler("roster_update", self.on_roster)
        self.add_event_handler("session_start", lambda _: self.settle(self.started, None))
        self.add_event_handler("failed_auth", self.on_failed_auth)
        self.add_event_handler("ssl_invalid_chain", lambda e: self.fail("certificate refused: %s" % e))
        self.add_event_handler("connection_failed", lambda e: self.fail("connection failed: %s" % e))
        self.add_event_handler("stream_error", lambda e: self.fail("stream error: %s" % e["condition"]))
        self.add_event_handler("disconnected", self.on_disconnected)

    async def _pick_dns_answer(self, domain, port=None):
        """The address is the one given, also where the domain, as localhost, is one that has addresses."""
        return None

    def sign_up(self, token):
        """Has the account made with an invitation (XEP-0445, XEP-0077) on the way, between TLS and SASL."""
        self.register_plugin("xep_0077")
        self.unregister_feature("register", self["xep_0077"].order)  # it knows no invitations

        async def register(features):
            self._always_send_everything = True  # also what slixmpp does not know to belong before login
            try:
                iq = self.make_iq_set(ito=self.domain)
                ET.SubElement(iq.xml, "{urn:xmpp:pars:0}preauth", {"token": token})
                await iq.send(timeout=10)
                form = await self["xep_0077"].get_registration(self.domain, timeout=10)
                if not {"username", "password"} <= form["register"]["fields"]:
                    raise StepError("the server asks for %s" % form["register"]["fields"])
                iq = self.make_iq_set(ito=self.domain)
                iq["register"]["username"] = self.boundjid.user
                iq["register"]["password"] = self.password
                await iq.send(timeout=10)
            except IqError as e:
                self.fail("not registered: %s %s" % (e.condition, e.text))
                self.abort()
            self._always_send_everything = False

        self.register_feature("register", register, restart=False, order=40)  # SASL is 100

    @staticmethod
    def settle(future, value):
        if not future.done():
            future.set_result(value)

    def fail(self, reason):
        if not self.started.done():
            self.started.set_exception(StepError(reason))

    def on_failed_auth(self, stanza):
        self.fail("login refused: %s" % stanza["condition"])
        self.abort()

    def on_disconnected(self, reason):
        self.fail("disconnected: %s" % reason)
        self.settle(self.ended, str(reason or ""))

    def on_roster(self, iq):
        if iq["type"] == "set":
            for item in iq.xml.iter("{jabber:iq:roster}item"):
                self.pushes[item.get("jid")] = self.pushes.get(item.get("jid"), 0) + 1

    def on_stanza(self, stanza):
        item = read_stanza(stanza)
        if item["kind"] == "presence" and item["type"] in ("available", "unavailable"):
            self.latest[item["from"]] = item
        self.inbox.append(item)
        self.arrived.set()  # wakes everyone who waits

    async def expect(self, matches):
        """The first stanza not asked for yet that matches; those before it stay."""
        while True:
            for i, item in enumerate(self.inbox):
                if matches(item):
                    del self.inbox[i]
                    return item
            self.arrived.clear()
            await self.arrived.wait()


class Driver:
    def __init__(self):
        self.client = None

    def need(self):
        if self.client is None:
            raise StepError("not logged in")
        return self.client

    # Every step is a method; its keyword arguments are the JSON object's members.

    async def login(self, jid, password, host, port, ca_file, direct_tls=False, presence=True, plugins=(), preauth=""):
        domain = slixmpp.JID(jid).domain
        client = Client(jid, password, ca_file, domain, plugins)
        if preauth:
            client.sign_up(preauth)
        self.client = client
        self.address = ((host, port), direct_tls)
        client.connect((host, port), use_ssl=direct_tls, force_starttls=not direct_tls, disable_starttls=direct_tls)
        client.default_domain = domain  # the name the certificate must be for
        await client.started
        if presence:
            await client.get_roster()
            client.send_presence()
            try:  # what is sent to this client from now on finds it available
                await client["xep_0199"].send_ping(slixmpp.JID(domain), timeout=3600)
            except IqError:
                pass  # an answer too
        return {"jid": client.boundjid.full}

    async def logout(self):
        client, self.client = self.need(), None
        await client.disconnect()
        return {}

    async def drop(self):
        """Lose the connection without a word."""
        client, self.client = self.need(), None
        client.abort()
        return {}

    async def cut(self):
        """Lose the connection without a word."""
        client = self.need()
        gone = asyncio.get_event_loop().create_future()
        client.add_event_handler("disconnected", lambda _: client.settle(gone, None), disposable=True)
        client.transport.abort()
        await gone
        return {}

    async def reconnect(self):
        """Connect again, and say whether the stream was resumed (plugin xep_0198) or another began."""
        client = self.need()
        back = asyncio.get_event_loop().create_future()
        client.add_event_handler("session_resumed", lambda _: client.settle(back, True), disposable=True)
        client.add_event_handler("session_start", lambda _: client.settle(back, False), disposable=True)
        address, direct = self.address
        client.connect(address, use_ssl=direct, force_starttls=not direct, disable_starttls=direct)
        return {"resumed": await back}

    async def carbons(self):
        await self.need()["xep_0280"].enable()
        return {}

    async def archive(self, with_jid=None, amount=10):
        """The bodies of the archive's messages, a page after another, each with the id it is under."""
        found = [m async for m in self.need()["xep_0313"].iterate(with_jid=with_jid, rsm={"max": amount})]
        return {"messages": [{"id": m["mam_result"]["id"], "body": m["mam_result"]["forwarded"]["stanza"]["body"]} for m in found]}

    async def block(self, jid, unblock=False):
        blocking = self.need()["xep_0191"]
        await (blocking.unblock if unblock else blocking.block)(slixmpp.JID(jid))
        blocked = await blocking.get_blocked()
        return {"blocked": sorted(str(j) for j in blocked["blocklist"]["items"])}

    async def looks(self, active):
        """Whether somebody looks at the client (plugin xep_0352)."""
        csi = self.need()["xep_0352"]
        csi.send_active() if active else csi.send_inactive()
        return {"offered": csi.enabled}

    async def ended(self):
        """Wait until the server has ended the stream."""
        return {"reason": await self.need().ended}

    async def roster(self):
        iq = self.need().make_iq(itype="get")
        iq.append(ET.fromstring("<query xmlns='jabber:iq:roster'/>"))  # without the version known, so whole
        iq = await iq.send()
        return {"items": {
            item.get("jid"): {
                "name": item.get("name", ""),
                "subscription": item.get("subscription", ""),
                "ask": item.get("ask", ""),
                "groups": sorted(g.text or "" for g in item.findall("{jabber:iq:roster}group")),
            }
            for item in iq.xml.iter("{jabber:iq:roster}item")
        }}

    async def roster_set(self, jid, name=None, groups=None):
        await self.need().update_roster(jid, name=name, groups=groups or [])
        return {}

    async def roster_remove(self, jid):
        await self.need().del_roster_item(jid)
        return {}

    async def presence(self, to=None, type=None, show=None, status=None, priority=None):
        self.need().send_presence(pto=to, ptype=type, pshow=show, pstatus=status, ppriority=priority)
        return {}

    async def message(self, to, body="", type="chat", stanza_id=None, extra=""):
        message = self.need().make_message(mto=to, mbody=body, mtype=type)
        if stanza_id:
            message["id"] = stanza_id
        if extra:
            message.append(ET.fromstring(extra))
        message.send()
        return {"stanza_id": message["id"]}

    async def expect(self, kind, sender="", type="", show=None, status=None, body=None, contains="", xml=""):
        """The next message or presence of sender (full, or bare for any resource) that is as described."""
        def matches(item):
            return (
                item["kind"] == kind
                and (not sender or sender in (item["from"], item["from"].partition("/")[0]))
                and (not type or item["type"] == type)
                and (show is None or item.get("show") == show)
                and (status is None or item.get("status") == status)
                and (body is None or item.get("body") == body)
                and (not contains or contains in item.get("body", "") + item.get("status", ""))
                and (not xml or xml in item["xml"])
            )
        return {"stanza": await self.need().expect(matches)}

    async def seen(self, kind="", sender="", clear=False):
        """What has come and no step has asked for yet."""
        client = self.need()

        def matches(item):
            return (not kind or item["kind"] == kind) and (
                not sender or sender in (item["from"], item["from"].partition("/")[0]))
        found = [i for i in client.inbox if matches(i)]
        if clear:
            client.inbox = [i for i in client.inbox if not matches(i)]
        return {"stanzas": found}

    async def pushes(self):
        """How often the server has pushed each contact."""
        return {"pushes": self.need().pushes}

    async def latest(self):
        """The last presence of every full JID."""
        return {"presences": {jid: item for jid, item in self.need().latest.items()}}

    async def items(self, jid, node=""):
        iq = await self.need()["xep_0030"].get_items(jid=jid, node=node or None)
        return {"items": [
            {"jid": i.get("jid", ""), "node": i.get("node", ""), "name": i.get("name", "")}
            for i in iq.xml.iter(ITEMS + "item")
        ]}

    async def commands(self, jid):
        return await self.items(jid, "http://jabber.org/protocol/commands")

    async def info(self, jid, node=""):
        iq = await self.need()["xep_0030"].get_info(jid=jid, node=node or None, cached=False)
        return {
            "features": sorted(f.get("var", "") for f in iq.xml.iter(INFO + "feature")),
            "identities": [
                {"category": i.get("category", ""), "type": i.get("type", ""), "name": i.get("name", "")}
                for i in iq.xml.iter(INFO + "identity")
            ],
            "forms": [read_form(x) for x in iq.xml.iter(DATA + "x")],
        }

    async def command(self, jid, node, action="execute", session=None, fields=None):
        """One stage of an ad-hoc command. fields are submitted as a form: var to a text or a list of texts."""
        client = self.need()
        payload = None
        if fields is not None:
            payload = client["xep_0004"].make_form(ftype="submit")
            for var, value in fields.items():
                payload.add_field(var=var, ftype="list-multi" if isinstance(value, list) else None, value=value)
        iq = await client["xep_0050"].send_command(jid, node, action=action, payload=payload, sessionid=session)
        return {"command": read_command(iq.xml)}

    async def iq(self, to=None, type="get", payload="", stanza_id=None):
        client = self.need()
        iq = client.make_iq(ito=to, itype=type)
        if stanza_id:
            iq["id"] = stanza_id
        if payload:
            iq.append(ET.fromstring(payload))
        return {"xml": tostring((await iq.send(timeout=3600)).xml)}

    async def sensor_read(self, jid, fields=None, flags=None, nodes=None):
        """Read a device with slixmpp's plugin for XEP-0323: what it calls back with, up to the end."""
        client = self.need()
        client.register_plugin("xep_0323")
        ended = asyncio.get_event_loop().create_future()
        heard = []

        def callback(from_jid, result, nodeId=None, timestamp=None, fields=None, error_msg=None):
            heard.append({"result": result, "from": str(from_jid), "node": nodeId or "", "fields": fields or [],
                          "error": error_msg or ""})
            if result in ("done", "rejected", "failure"):
                client.settle(ended, None)
        client["xep_0323"].request_data(client.boundjid.full, jid, callback, nodeIds=nodes, fields=fields, flags=flags)
        await ended
        return {"heard": heard}

    async def control_set(self, jid, fields, nodes=None):
        """Set parameters, each [name, type, value], with slixmpp's plugin for XEP-0325."""
        client = self.need()
        client.register_plugin("xep_0325")
        ended = asyncio.get_event_loop().create_future()

        def callback(from_jid, result, nodeIds=None, fields=None, error_msg=None):
            client.settle(ended, {"result": result})  # the plugin leaves out the rest, whatever comes
        client["xep_0325"].set_request(client.boundjid.full, jid, callback, [tuple(f) for f in fields], nodeIds=nodes)
        return await ended

    async def control_command(self, jid, fields, nodes=None):
        """The same by message, which is not answered."""
        client = self.need()
        client.register_plugin("xep_0325")
        client["xep_0325"].set_command(client.boundjid.full, jid, [tuple(f) for f in fields], nodeIds=nodes)
        return {}

    async def vcard(self, jid):
        """A vCard (XEP-0054), the picture as its length and hash."""
        client = self.need()
        client.register_plugin("xep_0054")
        card = (await client["xep_0054"].get_vcard(slixmpp.JID(jid), cached=False))["vcard_temp"]
        photo = card["PHOTO"]["BINVAL"] or b""
        return {"name": card["FN"] or "", "type": card["PHOTO"]["TYPE"] or "", "bytes": len(photo),
                "hash": hashlib.sha1(photo).hexdigest()}

    async def _tell_caps(self, client):
        """Presence with the present capabilities, to everybody: slixmpp's own goes to the contact let in last, if any."""
        await client["xep_0115"].update_caps(broadcast=False)
        client.send_presence()

    async def interest(self, node):
        """Says in its capabilities that it wants to hear of a node (XEP-0163)."""
        client = self.need()
        client.register_plugin("xep_0163")
        client["xep_0163"].add_interest(node)
        await self._tell_caps(client)
        return {}

    async def publish(self, node, payload, item="", options=None):
        """Puts an item into a node of its own account."""
        client = self.need()
        client.register_plugin("xep_0163")
        form = None
        if options:
            form = client["xep_0004"].make_form("submit")
            form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#publish-options")
            for name, value in options.items():
                form.add_field(var=name, value=value)
        answer = await client["xep_0060"].publish(slixmpp.JID(client.boundjid.bare), node, id=item or None,
                                                  payload=ET.fromstring(payload), options=form)
        return {"item": answer["pubsub"]["publish"]["item"]["id"]}

    async def upload(self, name, content, type=None):
        """A file put where the server keeps files (XEP-0363) and fetched again."""
        from aiohttp import ClientSession  # only this step needs it

        client = self.need()
        client.register_plugin("xep_0363")
        # The plugin's own way to find the service does not work with Python 3.11: it hands coroutines to asyncio.wait.
        found = (await client["xep_0030"].get_info(slixmpp.JID(client.boundjid.domain)))["disco_info"]
        if not any(i[:2] == ("store", "file") for i in found["identities"]) or "urn:xmpp:http:upload:0" not in found["features"]:
            raise StepError("the domain takes no files")
        client["xep_0363"].upload_service = slixmpp.JID(client.boundjid.domain)
        url = await client["xep_0363"].upload_file(name, content_type=type, input_file=io.BytesIO(content.encode()))
        async with ClientSession() as session, session.get(url) as answer:
            return {"url": url, "status": answer.status, "type": answer.headers.get("Content-Type", ""),
                    "content": (await answer.read()).decode()}

    def rooms(self):
        """slixmpp's plugin for rooms (XEP-0045)."""
        client = self.need()
        client.register_plugin("xep_0045")
        return client["xep_0045"]

    async def room_join(self, room, nick, password=None):
        """Join, or make, a room and wait until it has let us in."""
        try:
            await self.rooms().join_muc_wait(slixmpp.JID(room), nick, password=password, maxstanzas=0, timeout=3600)
        except PresenceError as e:
            raise StepError("not let in: %s" % e.condition)
        return {}

    async def room_leave(self, room, nick):
        self.rooms().leave_muc(slixmpp.JID(room), nick)
        return {}

    async def room_configure(self, room, values):
        form = self.need()["xep_0004"].make_form(ftype="submit")
        form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/muc#roomconfig")
        for var, value in values.items():
            form.add_field(var="muc#roomconfig_" + var, value=value)
        await self.rooms().set_room_config(slixmpp.JID(room), form)
        return {}

    async def room_affiliation(self, room, jid, affiliation, reason=""):
        await self.rooms().set_affiliation(slixmpp.JID(room), affiliation, jid=slixmpp.JID(jid), reason=reason)
        return {}

    async def room_role(self, room, nick, role):
        await self.rooms().set_role(slixmpp.JID(room), nick, role)
        return {}

    async def room_destroy(self, room, reason=""):
        await self.rooms().destroy(slixmpp.JID(room), reason)
        return {}

    def pubsub(self):
        client = self.need()
        client.register_plugin("xep_0060")
        return client["xep_0060"]

    async def node_subscribe(self, jid, node):
        """Subscribe to a node with slixmpp's plugin for XEP-0060."""
        iq = await self.pubsub().subscribe(jid, node)
        return {"state": iq["pubsub"]["subscription"]["subscription"]}

    async def node_unsubscribe(self, jid, node):
        await self.pubsub().unsubscribe(jid, node)
        return {}

    async def node_items(self, jid, node):
        iq = await self.pubsub().get_items(jid, node)
        return {"items": [{"id": i["id"], "xml": tostring(i.xml)} for i in iq["pubsub"]["items"]]}

    async def node_list(self, jid):
        """The nodes at an address, and those of them one has subscribed to."""
        plugin = self.pubsub()
        found = await plugin.get_nodes(jid)
        mine = await plugin.get_subscriptions(jid)
        return {"nodes": sorted(i[1] for i in found["disco_items"]["items"] if i[1]),
                "subscribed": sorted(s["node"] for s in mine["pubsub"]["subscriptions"])}

    async def node_publish(self, jid, node):
        await self.pubsub().publish(jid, node, payload=ET.fromstring("<x xmlns='urn:x'/>"))
        return {}

    async def listen(self, node):
        """Tell everybody by the capabilities in presence that items of a node are wanted (XEP-0163)."""
        client = self.need()
        client.register_plugin("xep_0060")
        client.register_plugin("xep_0163")
        client["xep_0163"].add_interest([node])
        await self._tell_caps(client)
        return {}

    async def ping(self, jid=None):
        return {"seconds": await self.need()["xep_0199"].ping(jid)}

    async def raw(self, xml):
        self.need().send_raw(xml)
        return {}

    async def run(self, request):
        name, number, timeout = request.pop("do", ""), request.pop("id", 0), request.pop("timeout", 30)
        try:
            if name.startswith("_") or name in ("need", "rooms", "run") or not hasattr(self, name):
                raise StepError("no such step: %s" % name)
            answer = dict(await asyncio.wait_for(getattr(self, name)(**request), timeout), ok=True)
        except IqError as e:
            answer = {"ok": False, "error": "IQ error", "stanza_error": read_error(e.iq.xml), "xml": tostring(e.iq.xml)}
        except (asyncio.TimeoutError, IqTimeout):
            answer = {"ok": False, "error": "%s: nothing of the kind in %s seconds" % (name, timeout)}
            if self.client is not None:
                answer["seen"] = [i for i in self.client.inbox]
        except StepError as e:
            answer = dict(e.more, ok=False, error="%s: %s" % (name, e))
        except Exception as e:  # a step must never take the driver down
            logging.exception("step %s", name)
            answer = {"ok": False, "error": "%s: %s: %s" % (name, type(e).__name__, e)}
        answer["id"] = number
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


async def main():
    loop = asyncio.get_event_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    driver, tasks = Driver(), set()
    while True:
        line = await reader.readline()
        if not line:
            break
        task = loop.create_task(driver.run(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if driver.client is not None:
        await asyncio.wait([asyncio.ensure_future(driver.client.disconnect(wait=1.0))], timeout=3)
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


if __name__ == "__main__":
    logging.basicConfig(level=os.environ.get("SLIXMPP_LOG", "WARNING"), stream=sys.stderr)
    event_loop = asyncio.new_event_loop()
    asyncio.set_event_loop(event_loop)
    event_loop.run_until_complete(main())
