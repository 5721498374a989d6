//! A model without weights, as whisper.cpp's own tests use: it loads, it runs, and it knows no
//! word.

/// Returns the file of a model of `tiny`'s shape with so many tokens.
pub(crate) fn empty_model(tokens: i32) -> Vec<u8> {
    let mut bytes = b"lmgg".to_vec();
    // Tokens; sound: context, width, heads, layers; text: the same; mel bands; 16-bit floats. Then
    // the size of the filters.
    for number in [tokens, 1500, 384, 6, 4, 448, 384, 6, 4, 80, 1, 80, 201] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.resize(bytes.len() + 80 * 201 * 4, 0);
    // A vocabulary of a space, which whisper.cpp asks for; the rest it makes up.
    for number in [1_i32, 1] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.push(b' ');
    bytes
}
