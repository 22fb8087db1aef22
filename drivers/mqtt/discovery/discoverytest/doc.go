// Package discoverytest reads files of what devices say of themselves, and checks what a convention makes of it.
//
// A file is one device or a few that belong together, in a folder of the program that announces them. It says where its
// messages are from, and has what people would expect, written by hand. A line that is not indented begins a step; what is
// indented belongs to it. Lines that begin with # are comments.
//
//	# https://www.zigbee2mqtt.io/guide/usage/integrations/home_assistant.html
//	announce homeassistant/light/0x00158d0001/light/config
//	    {"name": null, "schema": "json", "state_topic": "zigbee2mqtt/lamp", …
//	     "device": {"identifiers": ["zigbee2mqtt_0x00158d0001"], "name": "lamp"}}
//
//	device zigbee2mqtt_0x00158d0001
//	    name lamp
//	    model IKEA TRADFRI bulb (LED1545G12)
//	    class light
//	    note left out, since the device has it disabled by default: linkquality
//
//	point light switch rwc
//	point brightness number rwc unit=% low=0 high=100 step=1
//
//	state zigbee2mqtt/lamp
//	    {"state": "ON", "brightness": 127}
//	    = light true
//	    = brightness 50
//
//	command brightness 40
//	    > zigbee2mqtt/lamp/set {"state":"ON","brightness":102}
//
//	status zigbee2mqtt/lamp/availability
//	    {"state": "online"}
//	    = up
//
// The steps are:
//
//   - announce TOPIC, with the payload below; the lines with > are what the convention publishes in answer. Without a payload
//     the broker has an empty message there. "retained" after a topic says that the broker had kept the message.
//   - device KEY: what was announced so far is that device. Below is what it says of itself; what is left out is not looked at.
//     Its points follow, all of them. Then come its states and commands.
//   - gone KEY: there is no such device.
//   - point NAME KIND ACCESS ATTRIBUTES: ACCESS has r, w and c for readable, writable and confirms; - for none. The attributes
//     are those that are not empty, of label, class, unit, options, states, low, high, step, digits, expire, offdelay, value, in quotes
//     where they have a space; "available" is that of a point that has its own.
//   - state TOPIC, with the payload below and the readings it has, all of them: "= NAME VALUE", "= NAME" for one that is not known,
//     "! NAME WORDS" for an error with these words in it.
//   - command NAME VALUE, with what is published, "> TOPIC PAYLOAD", after which may come qos=1 and retain before the topic; or
//     "! WORDS" for an error.
//   - status TOPIC, with the payload below and whether the device is there then, "= up" or "= down"; a point with its own, "= NAME up".
//
// Run also hears the announcements before the first device the other way round, and expects the same device.
package discoverytest
