//! State machines as tables: the [`transitions!`](crate::transitions!) macro.

/// Declares a state machine as one table of events and edges.
///
/// ```
/// midcall_proto::transitions! {
///     /// A door.
///     pub enum Door { Open, Shut, Locked }
///     /// What is done to it.
///     pub enum DoorEvent;
///
///     shut(Open => Shut);
///     open(Shut => Open);
///     lock(Open | Shut => Locked);
/// }
/// assert_eq!(Door::Open.next(DoorEvent::shut), Some(Door::Shut));
/// assert_eq!(Door::Locked.next(DoorEvent::open), None);
/// ```
///
/// The first state is the one the machine starts in. An event may list several edges, separated by commas;
/// several states may share one (`Open | Shut => Locked`). An event without an edge from the present state
/// gives `None`: nothing is swallowed. A state that appears on the left of one event twice does not compile
/// (unreachable pattern).
///
/// The enum gets `STATES`, `next(event)`, `table()` (every state by every event, for a snapshot) and `dot()`
/// (a Graphviz digraph for the docs). Without an event enum line, the events are an enum named
/// `Event` in the scope of the macro call.
#[macro_export]
macro_rules! transitions {
    (
        $(#[$meta:meta])* $vis:vis enum $State:ident { $First:ident $(, $Rest:ident)* $(,)? }
        $(#[$event_meta:meta])* $event_vis:vis enum $Event:ident;
        $( $(#[$edge_meta:meta])* $event:ident( $( $($from:ident)|+ => $to:ident ),+ $(,)? ); )+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        $vis enum $State {
            #[doc = concat!("The state ", stringify!($First), ", where the machine starts.")]
            #[default]
            $First,
            $( #[doc = concat!("The state ", stringify!($Rest), ".")] $Rest, )*
        }

        $(#[$event_meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(non_camel_case_types)]
        $event_vis enum $Event {
            $( #[doc = concat!("The event ", stringify!($event), ".")] $(#[$edge_meta])* $event, )+
        }

        #[allow(dead_code)]
        impl $State {
            /// Every state, in the order of the table.
            $vis const STATES: &'static [Self] = &[Self::$First $(, Self::$Rest)*];

            /// Where `event` leads from here; `None` if the table has no such edge.
            #[deny(unreachable_patterns)]
            $vis const fn next(self, event: $Event) -> Option<Self> {
                match event {
                    $( $Event::$event => match self {
                        $( $(Self::$from)|+ => Some(Self::$to), )+
                        #[allow(unreachable_patterns)]
                        _ => None,
                    }, )+
                }
            }

            /// The name of the state as the table writes it.
            $vis const fn name(self) -> &'static str {
                match self {
                    Self::$First => stringify!($First),
                    $( Self::$Rest => stringify!($Rest), )*
                }
            }

            /// Every state by every event as text, one line each; a dot where there is no edge.
            $vis fn table() -> String {
                let events: &[($Event, &str)] = &[$( ($Event::$event, stringify!($event)) ),+];
                $crate::transitions::table(Self::STATES, events, |s| s.name(), |s, e| s.next(e))
            }

            /// The machine as a Graphviz digraph.
            $vis fn dot() -> String {
                let events: &[($Event, &str)] = &[$( ($Event::$event, stringify!($event)) ),+];
                $crate::transitions::dot(stringify!($State), Self::STATES, events, |s| s.name(), |s, e| s.next(e))
            }
        }
    };
    (
        $(#[$meta:meta])* $vis:vis enum $State:ident { $($states:tt)* }
        $( $(#[$edge_meta:meta])* $event:ident( $($edges:tt)* ); )+
    ) => {
        $crate::transitions! {
            $(#[$meta])* $vis enum $State { $($states)* }
            /// What can happen to the machine; the names are those of its table.
            $vis enum Event;
            $( $(#[$edge_meta])* $event( $($edges)* ); )+
        }
    };
}

/// The text of a transition table; what `table()` of a machine calls.
#[doc(hidden)]
pub fn table<S: Copy, E: Copy>(
    states: &[S],
    events: &[(E, &str)],
    name: impl Fn(S) -> &'static str,
    next: impl Fn(S, E) -> Option<S>,
) -> String {
    let first = states.iter().map(|s| name(*s).len()).max().unwrap_or_default();
    let mut out = format!("{:first$}", "");
    for (_, event) in events {
        out.push_str(&format!("  {event:first$}"));
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    for state in states {
        let mut line = format!("{:first$}", name(*state));
        for (event, word) in events {
            let to = next(*state, *event).map_or(".", &name);
            let width = first.max(word.len());
            line.push_str(&format!("  {to:width$}"));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// The Graphviz text of a machine; what `dot()` calls.
#[doc(hidden)]
pub fn dot<S: Copy, E: Copy>(
    title: &str,
    states: &[S],
    events: &[(E, &str)],
    name: impl Fn(S) -> &'static str,
    next: impl Fn(S, E) -> Option<S>,
) -> String {
    let mut out = format!("digraph {title} {{\n");
    for state in states {
        for (event, word) in events {
            if let Some(to) = next(*state, *event) {
                out.push_str(&format!("  {} -> {} [label=\"{word}\"];\n", name(*state), name(to)));
            }
        }
    }
    out.push_str("}\n");
    out
}

#[cfg(test)]
mod tests {
    crate::transitions! {
        /// A lamp.
        enum Lamp { Off, On, Broken }

        switch(Off => On, On => Off);
        drop(Off | On => Broken);
    }

    #[test]
    fn an_edge_leads_where_the_table_says_and_nothing_else_does() {
        assert_eq!(Lamp::default(), Lamp::Off);
        assert_eq!(Lamp::Off.next(Event::switch), Some(Lamp::On));
        assert_eq!(Lamp::On.next(Event::switch), Some(Lamp::Off));
        assert_eq!(Lamp::On.next(Event::drop), Some(Lamp::Broken));
        assert_eq!(Lamp::Broken.next(Event::switch), None);
    }

    #[test]
    fn the_table_shows_every_state_by_every_event() {
        let want =
            "        switch  drop\nOff     On      Broken\nOn      Off     Broken\nBroken  .       .\n";
        assert_eq!(Lamp::table(), want);
    }

    #[test]
    fn the_graph_has_one_line_per_edge() {
        let dot = Lamp::dot();
        assert!(dot.starts_with("digraph Lamp {\n  Off -> On [label=\"switch\"];\n"));
        assert_eq!(dot.lines().count(), 6);
    }
}
