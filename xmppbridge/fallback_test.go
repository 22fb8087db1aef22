package xmppbridge

import "testing"

// What a client quotes for those who do not know replies is not said, and what is only for those is not answered.
func TestFallback(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		message := func(body, rest string) string {
			return "<message type='chat' from='" + otto + "' to='" + ovenBare + "'><body>" + body + "</body>" + rest + "</message>"
		}
		quoted := func(end string) string {
			return "<reply xmlns='urn:xmpp:reply:0' id='q' to='" + oven + "'/><fallback xmlns='" + nsFallback +
				"' for='urn:xmpp:reply:0'><body start='0' end='" + end + "'/></fallback>"
		}
		f.hear(otto, ovenBare, "heat on")
		f.deliver(message("&gt; Really Oven – Heat on?\nyes", quoted("25")))
		if got := f.requests(); len(got) != 1 || !got[0].Confirmed {
			t.Errorf("a yes in reply did %+v", got)
		}
		f.deliver(message("&gt; off\nheat off", quoted("99")))
		f.deliver(message("&gt; off\nheat off", quoted("-1")))
		if got := f.requests(); len(got) != 0 {
			t.Errorf("did %+v", got)
		}
		f.silence(message("👍", "<reactions xmlns='urn:xmpp:reactions:0' id='q'><reaction>👍</reaction></reactions><fallback xmlns='"+
			nsFallback+"' for='urn:xmpp:reactions:0'><body/></fallback>"))
		f.silence(message("/me took it back", "<retract xmlns='urn:xmpp:message-retract:1' id='q'/><fallback xmlns='"+nsFallback+"' for='urn:xmpp:message-retract:1'/>"))
	})
}
