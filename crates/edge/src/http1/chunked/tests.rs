use super::Chunked;
use crate::http1::head::Malformed;

/// Decodes `pieces` one after the other.
fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, usize, bool), Malformed> {
    let mut chunked = Chunked::default();
    let mut content = Vec::new();
    let mut taken = 0;
    for piece in pieces {
        taken += chunked.decode(piece, |run| content.extend_from_slice(run))?;
    }
    Ok((content, taken, chunked.is_done()))
}

#[test]
fn however_it_is_cut_it_is_the_same() {
    let text = b"5\r\nhello\r\nA;x=\"y z\"\r\n0123456789\r\n000\r\nX: y\r\nZ: w\r\n\r\n";
    let behind = [&text[..], b"next"].concat();
    for cut in 0..text.len() {
        let whole = (b"hello0123456789".to_vec(), text.len(), true);
        assert_eq!(decode(&[&text[..cut], &behind[cut..]]), Ok(whole), "cut at {cut}");
    }
    let bytes: Vec<_> = text.chunks(1).collect();
    assert_eq!(decode(&bytes).unwrap().0, b"hello0123456789");
    assert!(!decode(&[&text[..text.len() - 1]]).unwrap().2);
}

#[test]
fn sizes_and_trailers_are_bounded() {
    assert!(decode(&[b"00000000000000f\r\n"]).is_ok());
    assert_eq!(decode(&[b"0000000000000001\r\n"]), Err(Malformed::ChunkSize));
    let extension = [b"1;", &[b'x'; 300][..]].concat();
    assert_eq!(decode(&[&extension]), Err(Malformed::ChunkExtension));
    let trailer = [b"0\r\nx: ", &[b'y'; 9000][..]].concat();
    assert_eq!(decode(&[&trailer]), Err(Malformed::Trailer));
}

#[test]
fn trailers_are_kept_as_they_came() {
    let mut chunked = Chunked::default();
    chunked.decode(b"0\r\nA: b\r\nC: d\r\n\r\n", |_| ()).unwrap();
    assert_eq!(chunked.take_trailers(), b"A: b\r\nC: d\r\n\r\n");
    assert_eq!(chunked.take_trailers(), b"");
}
