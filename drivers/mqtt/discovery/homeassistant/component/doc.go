// Package component makes points of one component that was announced for Home Assistant: a sensor, a light, a cover.
//
// What a component is and what its keys mean is as the documentation of Home Assistant's MQTT integrations has it, one page a
// component: https://www.home-assistant.io/integrations/sensor.mqtt/, …/light.mqtt/ and so on. Payloads that are published
// are the ones that Home Assistant would publish, to the number's decimal point.
//
// A component becomes parts. The one without a suffix is the component itself, as the switch of a light; the others are named
// by their suffix ("brightness", "color_temp"). Names, labels and devices are made by whoever knows the other components.
package component
