"""One conversation with the broker by paho, which prints what it saw, a line each.

client.py HOST PORT tcp|websockets CAFILE|- 4|5 USER PASSWORD
"""

import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

host, port, transport, ca, version, user, password = sys.argv[1:]
five = version == "5"
events = queue.Queue()

client = mqtt.Client("python", transport=transport, protocol=mqtt.MQTTv5 if five else mqtt.MQTTv311)
client.username_pw_set(user, password)
if ca != "-":
    client.tls_set(ca_certs=ca)


def on_connect(client, userdata, flags, code, properties=None):
    events.put("connected %s" % (code.value if five else code))
    if properties is not None:
        events.put("maximum packet %s" % getattr(properties, "MaximumPacketSize", "none"))


def on_message(client, userdata, message):
    line = "%s=%s qos=%d retain=%d" % (message.topic, message.payload.decode(), message.qos, message.retain)
    if five:
        p = message.properties
        line += " user=%s type=%s id=%s expires=%s" % (
            getattr(p, "UserProperty", None), getattr(p, "ContentType", None),
            getattr(p, "SubscriptionIdentifier", None), hasattr(p, "MessageExpiryInterval"))
    events.put(line)


def on_subscribe(client, userdata, mid, codes, properties=None):
    events.put("granted %s" % [c.value if five else c for c in codes])


client.on_connect, client.on_message, client.on_subscribe = on_connect, on_message, on_subscribe
client.connect(host, int(port))
client.loop_start()


def expect(n):
    for _ in range(n):
        print(events.get(timeout=20), flush=True)


expect(2 if five else 1)
published = {"qos": 1}
if five:
    published["properties"] = Properties(PacketTypes.PUBLISH)
    published["properties"].UserProperty = ("room", "attic")
    published["properties"].ContentType = "text/plain"
    published["properties"].MessageExpiryInterval = 1000
client.publish("home/state", "kept", retain=True, **published).wait_for_publish(20)
if five:
    options = Properties(PacketTypes.SUBSCRIBE)
    options.SubscriptionIdentifier = 7
    client.subscribe([("home/#", SubscribeOptions(qos=2, retainAsPublished=True)), ("closed/a", SubscribeOptions(qos=1))], properties=options)
else:
    client.subscribe([("home/#", 2), ("closed/a", 1)])
expect(2)
for qos in range(3):
    client.publish("home/live", "%d" % qos, qos=qos, retain=qos == 2).wait_for_publish(20)
    expect(1)
if five:
    client.subscribe("home/#", options=SubscribeOptions(qos=0, noLocal=True, retainHandling=2))
    expect(1)
    client.publish("home/live", "not for me", qos=1).wait_for_publish(20)
    client.subscribe("home/state", options=SubscribeOptions(qos=0))
    expect(2)
client.publish("closed/b", "goes nowhere", qos=1).wait_for_publish(20)
client.publish("home/live", "", retain=True, qos=1).wait_for_publish(20)
client.disconnect()
client.loop_stop()
