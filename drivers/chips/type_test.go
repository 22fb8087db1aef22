package chips

import (
	"strings"
	"testing"

	"tidings/drivers/drivertest"
)

func TestMistakes(t *testing.T) {
	t.Parallel()
	spi := func(keys string) []string { return drivertest.Problems(t, SPI(nil), chip(keys)) }
	i2c := func(keys string) []string { return drivertest.Problems(t, I2C(nil), chip(keys)) }
	for _, c := range []struct {
		problems []string
		want     string // empty: none
	}{
		{i2c(``), "chip is missing: it says which chip this is, as in chip = \"ads1015\""},
		{i2c(`chip = "bme208"`), `chip: "bme208" is none of`},
		{i2c(`chip = "mcp23s17"`), `chip: "mcp23s17" is none of`},
		{i2c("chip = \"bme280\"\naddress = 0x20"), "address is 0x20: Bosch BME280 can be at 0x76, 0x77"},
		{i2c("chip = \"bme280\"\n[devices.other]\nchip = \"bmp280\""), "address 0x76 is already that of it"},
		{i2c("chip = \"bme280\"\nshunt = 1.0"), "shunt is not a matter of Bosch BME280"},
		{i2c("chip = \"bme280\"\npoll = \"1ms\""), "poll is 1ms: from 10ms to 24h0m0s"},
		{i2c("chip = \"bme280\"\nonly = [\"heat\"]"), `only: Bosch BME280 has no point "heat": it has temperature, humidity, pressure`},
		{i2c("chip = \"bme280\"\n[devices.it.points.temprature]\nprecision = 1"), `Bosch BME280 measures no "temprature": did you mean "temperature"?`},
		{i2c("chip = \"bme280\"\n[devices.it.points.temperature]\nkind = \"switch\""), "kind is switch, and temperature of Bosch BME280 is a number"},
		{i2c("chip = \"bme280\"\n[devices.it.points.temperature]\npull = \"up\""), "pull is not a matter of Bosch BME280"},
		{i2c("chip = \"bme280\"\n[devices.it.points.temperature]\nsafe = 5"), "safe is 5, and temperature cannot be set to that"},
		{i2c("chip = \"ina219\"\nmax_current = 100"), "TI INA219 measures 0.32 V at most"},
		{i2c("chip = \"ina219\"\nmax_current = 0.1"), "which TI INA219 cannot be calibrated for"},
		{i2c("chip = \"ina219\"\nshunt = -1"), "both are more than nothing"},
		{i2c("chip = \"ads1115\"\n[devices.it.points.a]\nsource = \"A4\""), `source is "A4": write a pin of TI ADS1115 as in 0, "A0", or the difference "0-1"`},
		{i2c("chip = \"ads1115\"\n[devices.it.points.a]\nsource = 0\nfull_scale = 10"), "gateway.toml:7: devices.it.points.a: full_scale is 10: it is more than nothing and at most 6.144"},
		{i2c("chip = \"mcp23017\""), "Microchip MCP23017 needs points, each with a source such as \"A0\" to \"B7\", or 0 to 15"},
		{i2c("chip = \"mcp23017\"\n[devices.it.points.a]\nsource = \"A8\""), `source is "A8"`},
		{i2c("chip = \"mcp23017\"\n[devices.it.points.a]\nsource = \"A0\"\n[devices.it.points.b]\nsource = \"A0\""), "A0 is already a"},
		{i2c("chip = \"mcp23017\"\n[devices.it.points.a]\nsource = 0\n[devices.it.points.b]\nsource = \"GPA0\""), "GPA0 is already a"},
		{i2c("chip = \"mcp23008\"\n[devices.it.points.a]\nsource = 8"), `source is "8"`},
		{i2c("chip = \"mcp23017\"\n[devices.it.points.a]\nsource = 0\ninitial = true"), "initial is for outputs: say direction"},
		{i2c("chip = \"mcp23017\"\n[devices.it.points.a]\nsource = 0\ndirection = \"out\"\npull = \"up\""), "pull is for inputs, and 0 is an output"},
		{i2c("chip = \"mcp23017\"\n[devices.it.points.a]\nsource = 0\ndirection = \"out\"\ninitial = 5"), "initial is 5, and 0 cannot be set to that"},
		{i2c("chip = \"pca9685\"\n[devices.it.points.a]\nsource = 16"), `source is "16"`},
		{i2c("chip = \"pca9685\"\nfrequency = 5000\n[devices.it.points.a]\nsource = 1"), "frequency is 5000: NXP PCA9685 makes 24 to 1526 Hz"},
		{i2c("chip = \"pca9685\"\n[devices.it.points.a]\nsource = 1\nsafe = 101"), "safe is 101, and 1 cannot be set to that"},
		{spi("chip = \"bme280\"\n[devices.other]\nchip = \"bmp280\""), "it is behind this chip select already: one chip each"},
		{spi(`chip = "aht20"`), `chip: "aht20" is none of`},
		{drivertest.Problems(t, I2C(nil), "[drivers.bus]\nbus = \"\"\n"), "bus is empty"},
		{i2c(expanderKeys), ""},
		{i2c("chip = \"BME280\"\naddress = 119\n[devices.it.points.temperature]\nprecision = 2\n[devices.it.points.dewpoint]\nvalue = \"temperature - 5\""), `"BME280" is none of`},
		{i2c("chip = \"bme280\"\naddress = 119\n[devices.it.points.temperature]\nprecision = 2\n[devices.it.points.dewpoint]\nvalue = \"temperature - 5\""), ""},
	} {
		if got := strings.Join(c.problems, "\n"); c.want == "" && got != "" || len(c.problems) > 1 || !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", c.problems, c.want)
		}
	}
}
