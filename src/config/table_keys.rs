//! The macro that makes a table's settings, its reader and its list of keys from one row per key.

/// Makes the settings of a table and its [`TableKeys`](super::reader::TableKeys) from one row per
/// key:
///
/// ```text
/// pub struct Retry from RetryKeys {
///     /// The doc comment of the field.
///     attempts: u32 = read_number(1..=100), default 3;
/// }
/// ```
///
/// A row is the key, its type, the method of [`Table`](super::reader::Table) that reads it, and
/// what holds where it is absent:
///
/// - `default VALUE`: the field has this value;
/// - `required "CURE"`: that is a mistake, and the table makes no settings;
/// - nothing: the field is an `Option`.
///
/// A row that begins with `+` is a key without a field of its own: code beside the rows makes
/// something of it. Fields that no single key gives stand in `and { … }`, and are the arguments of
/// `into_settings`.
macro_rules! table_keys {
    (
        $(#[$meta:meta])*
        $vis:vis struct $Settings:ident from $Keys:ident {
            $(+ $first:ident: $first_type:ty = $read_first:ident($($first_arg:expr),*);)*
            $(
                $(#[$doc:meta])*
                $key:ident: $type:ty = $read:ident($($arg:expr),*) $(, $absent:ident $with:expr)?;
                $(+ $part:ident: $part_type:ty = $read_part:ident($($part_arg:expr),*);)*
            )*
        }
        $(and { $($(#[$other_doc:meta])* $other:ident: $other_type:ty,)* })?
    ) => {
        $(#[$meta])*
        $vis struct $Settings {
            $($($(#[$other_doc])* pub $other: $other_type,)*)?
            $($(#[$doc])* pub $key: table_keys!(@field $type $(, $absent)?),)*
        }

        #[doc = concat!("The keys of [`", stringify!($Settings), "`] as the file gives them.")]
        #[derive(Clone, Default)]
        pub(in crate::config) struct $Keys {
            $(pub(in crate::config) $first: Option<toml::Spanned<$first_type>>,)*
            $(
                pub(in crate::config) $key: Option<toml::Spanned<$type>>,
                $(pub(in crate::config) $part: Option<toml::Spanned<$part_type>>,)*
            )*
        }

        impl crate::config::reader::TableKeys for $Keys {
            const KNOWN: &'static [&'static str] =
                &[$(stringify!($first),)* $(stringify!($key), $(stringify!($part),)*)*];

            fn from_table(table: &crate::config::reader::Table<'_>) -> Self {
                $($(table_keys!(@require table, $key, $absent $with);)?)*
                Self {
                    $($first: table.$read_first(stringify!($first) $(, $first_arg)*),)*
                    $(
                        $key: table.$read(stringify!($key) $(, $arg)*),
                        $($part: table.$read_part(stringify!($part) $(, $part_arg)*),)*
                    )*
                }
            }

            fn or_defaults(self, defaults: Self) -> Self {
                Self {
                    $($first: self.$first.or(defaults.$first),)*
                    $($key: self.$key.or(defaults.$key), $($part: self.$part.or(defaults.$part),)*)*
                }
            }
        }

        impl $Keys {
            /// Returns the settings in force; `None` where a required key is absent or has a
            /// mistake.
            pub(in crate::config) fn into_settings(self $($(, $other: $other_type)*)?) -> Option<$Settings> {
                Some($Settings {
                    $($($other,)*)?
                    $($key: table_keys!(@value self.$key $(, $absent $with)?),)*
                })
            }
        }
    };
    (@field $type:ty) => { Option<$type> };
    (@field $type:ty, $absent:ident) => { $type };
    (@require $table:ident, $key:ident, default $value:expr) => {};
    (@require $table:ident, $key:ident, required $cure:expr) => { $table.require_key(stringify!($key), $cure) };
    (@value $written:expr) => { $written.map(toml::Spanned::into_inner) };
    (@value $written:expr, default $value:expr) => { $written.map_or_else(|| $value, toml::Spanned::into_inner) };
    (@value $written:expr, required $cure:expr) => { $written?.into_inner() };
}
pub(super) use table_keys;

/// Returns the keys of several lists, each once.
pub(super) fn join_keys(lists: &[&[&'static str]]) -> Vec<&'static str> {
    let mut keys = Vec::new();
    for key in lists.iter().copied().flatten() {
        if !keys.contains(key) {
            keys.push(*key);
        }
    }
    keys
}
