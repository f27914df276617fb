/** The types of WebAssembly's values, which meanings are written in. */
export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';
