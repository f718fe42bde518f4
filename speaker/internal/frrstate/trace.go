package frrstate

// Trace is what the events of one neighbor tell about its last attempt to open a session, as far as it matters while the session is down. What
// ended an attempt stays until the next one ends: what is said of a session does not change with every attempt. The zero value knows nothing.
type Trace struct {
	// Cause is why the last attempt ended, or the session if none was made since; the zero Cause before that is known.
	Cause Cause
	// Open is the last OPEN message of the neighbor, nil before it sent one.
	Open *Event

	state string
	// said is true when the present attempt has its Cause.
	said bool
}

// Cause is why an attempt or a session ended. At most one of its parts is set.
type Cause struct {
	// Notification is the first NOTIFICATION message: what follows is about the end itself.
	Notification *Notification
	// Errno is the error of the TCP connection that could not be opened, Text its text.
	Errno int
	Text  string
	// NoAnswer means: nobody answered to the TCP connection.
	NoAnswer bool
	// Closed means: the neighbor took the TCP connection and ended it without a word.
	Closed bool
	// NoPath means: nothing was tried, for want of a route.
	NoPath bool
}

// IsZero tells that nothing is known.
func (c Cause) IsZero() bool { return c == Cause{} }

// After returns what is known after another event of the same neighbor.
func (t Trace) After(e Event) Trace {
	switch e.Kind {
	case EventState:
		return t.went(e.From, e.To)
	case EventConnect:
		// The log may have lost that the state changed.
		t.said, t.state = false, "Connect"
	case EventConnectFailed:
		t.state = "Active"
		return t.ended(Cause{Errno: e.Errno, Text: e.Text})
	case EventConnectTimer:
		if t.state == "Connect" { // in Active there was nobody to answer
			return t.ended(Cause{NoAnswer: true})
		}
	case EventNoPath:
		return t.ended(Cause{NoPath: true})
	case EventOpen:
		t.Open = &e
	case EventNotification:
		if !t.said {
			return t.ended(Cause{Notification: &Notification{Sent: e.Sent, Code: e.Code, Subcode: e.Subcode, Text: e.Text}})
		}
	case EventBFD:
	}
	return t
}

func (t Trace) ended(c Cause) Trace {
	t.Cause, t.said = c, true
	return t
}

func (t Trace) went(from, to string) Trace {
	t.state = to
	switch {
	case to == "Established":
		return Trace{state: to, Open: t.Open}
	case from == "OpenSent" && (to == "Idle" || to == "Active") && !t.said:
		return t.ended(Cause{Closed: true})
	}
	return t
}
