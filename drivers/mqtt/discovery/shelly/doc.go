// Package shelly finds Shelly devices of the second generation and later, which speak JSON-RPC over MQTT. See
// https://shelly-api-docs.shelly.cloud/gen2/ (ComponentsAndServices/Mqtt, and each component's page).
//
// They announce nothing but that they are there (PREFIX/online, retained). Whoever says so is asked what it is, how it is set up
// and how it is (Shelly.GetDeviceInfo, GetConfig, GetStatus); answers come on a topic of this gateway's own. A device's key is the
// id that it has from its maker and its MAC address, whatever its topics' prefix is.
//
//	shellyplus1pm-a8032ab12345/online        true
//	shellyplus1pm-a8032ab12345/rpc           {"id":1,"src":"tidings-x1y2/who","method":"Shelly.GetDeviceInfo"}
//	tidings-x1y2/who/rpc                     {"id":1,"src":"shellyplus1pm-a8032ab12345","result":{"id":"shellyplus1pm-a8032ab12345",…}}
//	shellyplus1pm-a8032ab12345/events/rpc    {"method":"NotifyStatus","params":{"switch:0":{"id":0,"output":true}}}
//
// Each component that is understood (switch, light, rgb, rgbw, cct, cover, input, temperature, humidity, the meters, battery,
// smoke, flood, illuminance, voltmeter, thermostat and the virtual ones) becomes points, by what its status has. Devices that
// sleep are there until they have been silent for twice as long as they sleep.
package shelly
