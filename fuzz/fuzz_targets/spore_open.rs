//! Any bytes as a spore: nothing may panic, hang, or be accepted and then not extract.

#![no_main]

use std::fs::File;
use std::io::Write as _;

use libfuzzer_sys::fuzz_target;
use rustix::fs::{MemfdFlags, memfd_create};

fuzz_target!(|data: &[u8]| {
    check(data);
    let mut mended = data.to_vec();
    if mend(&mut mended).is_some() {
        check(&mended);
    }
});

fn check(data: &[u8]) {
    let mut file = File::from(memfd_create("spore", MemfdFlags::CLOEXEC).unwrap());
    file.write_all(data).unwrap();
    let Ok(spore) = spore::open(file) else { return };
    let into = std::env::temp_dir().join(format!("fuzz-spore-{}", std::process::id()));
    match (spore.verify(None), spore.extract(None, &into)) {
        (Ok(()), Ok(_)) => std::fs::remove_dir_all(&into).unwrap(),
        (Err(_), Err(_)) => assert!(!into.exists()),
        (verified, extracted) => panic!("verify says {verified:?}, extract {extracted:?}"),
    }
}

/// Makes every CRC-32 fit, where the headers lead anywhere: a mutation rarely gets past them by itself.
fn mend(data: &mut [u8]) -> Option<()> {
    let number = |data: &[u8], at: usize| -> Option<usize> {
        Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?) as usize)
    };
    let end = data.len().checked_sub(22)?;
    let mut record = number(data, end + 16)?;
    while data.get(record..record.checked_add(4)?)? == b"PK\x01\x02" {
        let name = usize::from(*data.get(record + 28)?);
        let (size, header) = (number(data, record + 24)?, number(data, record + 42)?);
        let content = header.checked_add(30 + name)?;
        let crc = crc32fast::hash(data.get(content..content.checked_add(size)?)?).to_le_bytes();
        data.get_mut(record + 16..record + 20)?.copy_from_slice(&crc);
        data.get_mut(header + 14..header + 18)?.copy_from_slice(&crc);
        record += 46 + name;
    }
    Some(())
}
