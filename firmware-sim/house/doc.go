// Package house is a whole simulated house: about forty devices over all dialects, with days, people and meters that add up.
//
//	h, err := house.New(house.Options{Broker: "mqtt://127.0.0.1:1883"})
//	if err != nil {
//		return err
//	}
//	go h.Run(ctx)                                  // whoever starts it waits for it
//	err = h.SetFault("Boiler", board.Offline, true) // by the name people know it by
//
// On MQTT there are a Zigbee2MQTT bridge with its devices, nodes of ESPHome, devices of Tasmota, Shelly and Homie; with
// Options.Dir also what is wired: boards, a smart meter and a Modbus line on pseudo-terminals, whose links are in that folder.
// What can only be reached within the process, a GPIO chip and an I²C bus, is there in Chip and Bus. Options.Sensors adds plain
// sensors for load.
//
// What is measured is a function of the time alone, so that a clock that is handed in makes all of it come again.
package house
