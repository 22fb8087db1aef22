package mapping

import (
	"errors"
	"testing"

	"tidings/devices"
)

func TestCalled(t *testing.T) {
	t.Parallel()
	list := []Names{
		{"lamp", "lamp", "Light"}, {"bed", "bed", "Bed heating"}, {"zigbee:1", "reading-lamp", "Reading lamp"},
		{"zigbee:2", "lamp-2", "Lamp"}, {"zigbee:3", "socket", "Socket"}, {"zigbee:4", "socket-2", "Socket"}, {"zigbee:5", "plug", "Two plugs"}, {"zigbee:6", "plug-2", "two plugs"},
		{"bad", "bad", "Bathroom"}, {"awning", "awning", "Awning"},
	}
	for said, want := range map[string]devices.ID{
		"lamp": "lamp", "Lamp": "lamp", "zigbee:2": "zigbee:2", "lamp-2": "zigbee:2", "light": "lamp", "Reading lamp": "zigbee:1",
		"reading LAMP": "zigbee:1", "socket": "zigbee:3", "Socket": "zigbee:3", "Bed": "bed",
	} {
		if i, err := Called(said, list); err != nil || list[i].ID != want {
			t.Errorf("%s is %s: %v", said, list[i].ID, err)
		}
	}
	for said, want := range map[string]string{
		"Two plugs": "there are several devices called Two plugs: say which of plug and plug-2",
		"lmap":      `lmap: no such device: did you mean "lamp"?`, "readinglamp": `readinglamp: no such device: did you mean "reading-lamp"?`,
		"Bed heatng": `Bed heatng: no such device: did you mean "Bed heating"?`,
		"set":        "set: no such device: `tidings devices` lists what there is", "bet": "bet: no such device: `tidings devices` lists what there is",
		"living": "living: no such device: `tidings devices` lists what there is", "lam": `lam: no such device: did you mean "lamp"?`,
	} {
		if _, err := Called(said, list); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", said, err, want)
		}
	}
	if _, err := Called("lmap", list); !errors.Is(err, devices.ErrUnknownDevice) {
		t.Error(err)
	}
}
