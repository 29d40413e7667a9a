//! `bpf(2)`: maps and programs, made and found.

#![expect(unsafe_code, reason = "bpf(2) has no wrapper, and gives descriptors as numbers")]

use std::ffi::{CStr, c_int, c_uint};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use super::asm::Program;

/// Commands (`enum bpf_cmd`, `linux/bpf.h`).
const MAP_CREATE: c_int = 0;
const MAP_LOOKUP_ELEM: c_int = 1;
const MAP_UPDATE_ELEM: c_int = 2;
const MAP_DELETE_ELEM: c_int = 3;
const PROG_LOAD: c_int = 5;
const PROG_ATTACH: c_int = 8;
const PROG_DETACH: c_int = 9;
const PROG_GET_FD_BY_ID: c_int = 13;
const MAP_GET_FD_BY_ID: c_int = 14;
const OBJ_GET_INFO_BY_FD: c_int = 15;
const PROG_QUERY: c_int = 16;
const RAW_TRACEPOINT_OPEN: c_int = 17;

/// Besides those of the groups above it, and of others at the same one.
const ALLOW_MULTI: u32 = 2;
/// How much the kernel may say about a program that it refuses.
const LOG: usize = 64 << 10;
/// How many programs of one kind may stand at one group (`BPF_CGROUP_MAX_PROGS`).
const MAX_ATTACHED: usize = 64;
/// How many maps of one program are looked at; ours have fewer.
const MAX_MAPS: usize = 16;

/// What a map is (`enum bpf_map_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum MapKind {
    Hash = 1,
    Array = 2,
    /// One value a cgroup that a program is attached to.
    CgroupStorage = 19,
    /// The same, for each processor.
    CgroupStoragePerCpu = 21,
    Ring = 27,
}

/// What a program is (`enum bpf_prog_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum ProgramKind {
    CgroupPacket = 8,
    CgroupSocket = 9,
    SocketState = 13,
    RawTracepoint = 17,
    CgroupAddress = 18,
}

/// Where at a cgroup a program stands (`enum bpf_attach_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Place {
    Ingress = 0,
    Egress = 1,
    SocketCreate = 2,
    SocketState = 3,
    Bind4 = 8,
    Bind6 = 9,
    Connect4 = 10,
    Connect6 = 11,
    Send4 = 14,
    Send6 = 15,
}

/// A map, by its descriptor.
#[derive(Debug)]
pub(super) struct Map {
    fd: OwnedFd,
}

/// What the kernel says of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MapInfo {
    pub id: u32,
    pub kind: u32,
    pub value_size: u32,
    pub max_entries: u32,
    name: [u8; 16],
}

impl MapInfo {
    pub fn is_named(&self, name: &CStr) -> bool {
        CStr::from_bytes_until_nul(&self.name).is_ok_and(|own| own == name)
    }
}

/// `bpf(2)`. An answer below zero is the error.
fn bpf<T>(command: c_int, attributes: &mut T) -> io::Result<c_int> {
    // SAFETY: the callers hand a structure laid out as the command wants it, zeros where it says nothing, and what it
    // points to outlives the call.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, ptr_of(attributes), size_of::<T>()) };
    c_int::try_from(answer).ok().filter(|answer| *answer >= 0).ok_or_else(io::Error::last_os_error)
}

fn ptr_of<T>(value: &mut T) -> *mut T {
    std::ptr::from_mut(value)
}

fn address<T: ?Sized>(value: &T) -> u64 {
    std::ptr::from_ref(value).cast::<u8>().addr() as u64
}

/// The same of what the kernel writes to.
fn place_of<T: ?Sized>(value: &mut T) -> u64 {
    std::ptr::from_mut(value).cast::<u8>().addr() as u64
}

fn owned(number: c_int) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us.
    unsafe { OwnedFd::from_raw_fd(number) }
}

#[repr(C)]
#[derive(Default)]
struct CreateMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    inner: u32,
    numa_node: u32,
    name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct Element {
    map: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

impl Map {
    /// Makes one. A name has at most 15 letters.
    pub fn new(kind: MapKind, name: &CStr, key: u32, value: u32, entries: u32) -> io::Result<Self> {
        let mut attributes = CreateMap {
            kind: kind as u32,
            key_size: key,
            value_size: value,
            max_entries: entries,
            name: named(name),
            ..Default::default()
        };
        Ok(Self { fd: owned(bpf(MAP_CREATE, &mut attributes)?) })
    }

    /// The value of `key`, into `value`, which must be as long as the map's (on all processors).
    pub fn get(&self, key: &[u8], value: &mut [u8]) -> io::Result<()> {
        let mut element = self.element(key, place_of(value));
        bpf(MAP_LOOKUP_ELEM, &mut element).map(drop)
    }

    /// Sets a value that is there (in the maps that we use: for ever, or since a program was attached).
    pub fn set(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        const EXIST: u64 = 2;
        let mut element = Element { flags: EXIST, ..self.element(key, address(value)) };
        bpf(MAP_UPDATE_ELEM, &mut element).map(drop)
    }

    pub fn remove(&self, key: &[u8]) -> io::Result<()> {
        bpf(MAP_DELETE_ELEM, &mut self.element(key, 0)).map(drop)
    }

    fn element(&self, key: &[u8], value: u64) -> Element {
        let map = self.fd.as_raw_fd().cast_unsigned();
        Element { map, key: address(key), value, ..Default::default() }
    }

    pub fn info(&self) -> io::Result<MapInfo> {
        let mut info = RawMapInfo::default();
        describe(self.fd.as_fd(), &mut info)?;
        let RawMapInfo { kind, id, value_size, max_entries, name, .. } = info;
        Ok(MapInfo { id, kind, value_size, max_entries, name })
    }
}

impl AsFd for Map {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[repr(C)]
#[derive(Default)]
struct RawMapInfo {
    kind: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct RawProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_len: u32,
    xlated_len: u32,
    jited: u64,
    xlated: u64,
    load_time: u64,
    created_by: u32,
    map_count: u32,
    maps: u64,
    name: [u8; 16],
}

fn describe<T>(fd: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    #[repr(C)]
    struct Info {
        fd: u32,
        len: u32,
        info: u64,
    }
    let len = size_of::<T>() as u32;
    let mut attributes = Info { fd: fd.as_raw_fd().cast_unsigned(), len, info: place_of(info) };
    bpf(OBJ_GET_INFO_BY_FD, &mut attributes).map(drop)
}

#[repr(C)]
#[derive(Default)]
struct LoadProgram {
    kind: u32,
    count: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    place: u32,
}

/// Has the kernel check and translate a program. `place`: where it will stand, for those that stand at a cgroup.
pub(super) fn load(kind: ProgramKind, place: Option<Place>, program: &Program) -> Result<OwnedFd, String> {
    let mut attributes = LoadProgram {
        kind: kind as u32,
        count: program.code.len() as u32,
        code: address(program.code.as_slice()),
        license: address(program.license.to_bytes_with_nul()),
        name: named(program.name),
        place: place.map_or(0, |place| place as u32),
        ..Default::default()
    };
    let error = match (0..5).find_map(|_| loaded(&mut attributes)) {
        Some(Ok(number)) => return Ok(owned(number)),
        Some(Err(error)) => error,
        None => io::Error::from_raw_os_error(libc::EAGAIN),
    };
    // Once more, to hear why: a log costs as much as the check itself.
    let mut log = vec![0_u8; LOG];
    (attributes.log_level, attributes.log_size, attributes.log) =
        (1, LOG as u32, place_of(log.as_mut_slice()));
    if let Ok(number) = bpf(PROG_LOAD, &mut attributes) {
        return Ok(owned(number));
    }
    let said = CStr::from_bytes_until_nul(&log).map(CStr::to_string_lossy).unwrap_or_default();
    let why = said.lines().rev().find(|line| !line.is_empty() && !line.starts_with("processed"));
    let name = program.name.to_string_lossy();
    Err(match why {
        Some(why) => format!("load {name}: {error}: {why}"),
        None => format!("load {name}: {error}"),
    })
}

/// Loads a program; `None` when a signal came in between, and it is to be tried again.
fn loaded(attributes: &mut LoadProgram) -> Option<io::Result<i32>> {
    match bpf(PROG_LOAD, attributes) {
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => None,
        done => Some(done),
    }
}

#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    place: u32,
    flags: u32,
}

/// Lets a program stand at a group, until the group is removed.
pub(super) fn attach(program: BorrowedFd<'_>, group: BorrowedFd<'_>, place: Place) -> io::Result<()> {
    bpf(PROG_ATTACH, &mut at(program, group, place)).map(drop)
}

/// Takes it away again.
pub(super) fn detach(program: BorrowedFd<'_>, group: BorrowedFd<'_>, place: Place) -> io::Result<()> {
    let mut attributes = Attach { flags: 0, ..at(program, group, place) };
    bpf(PROG_DETACH, &mut attributes).map(drop)
}

fn at(program: BorrowedFd<'_>, group: BorrowedFd<'_>, place: Place) -> Attach {
    let number = |fd: BorrowedFd<'_>| fd.as_raw_fd().cast_unsigned();
    Attach { target: number(group), program: number(program), place: place as u32, flags: ALLOW_MULTI }
}

/// The maps that the programs use which stand at this place of a group itself.
pub(super) fn maps_at(group: BorrowedFd<'_>, place: Place) -> io::Result<Vec<Map>> {
    #[repr(C)]
    #[derive(Default)]
    struct Query {
        target: u32,
        place: u32,
        flags: u32,
        attach_flags: u32,
        ids: u64,
        count: u32,
        _pad: u32,
    }
    let mut ids = [0_u32; MAX_ATTACHED];
    let mut query = Query {
        target: group.as_raw_fd().cast_unsigned(),
        place: place as u32,
        ids: place_of(&mut ids),
        count: MAX_ATTACHED as u32,
        ..Default::default()
    };
    bpf(PROG_QUERY, &mut query)?;
    let mut maps = Vec::new();
    for id in ids.into_iter().take(query.count as usize) {
        let program = by_id(PROG_GET_FD_BY_ID, id)?;
        let mut map_ids = [0_u32; MAX_MAPS];
        let mut info = RawProgramInfo { maps: place_of(&mut map_ids), ..Default::default() };
        info.map_count = MAX_MAPS as u32;
        describe(program.as_fd(), &mut info)?;
        for id in map_ids.into_iter().take(info.map_count as usize) {
            maps.push(Map { fd: by_id(MAP_GET_FD_BY_ID, id)? });
        }
    }
    Ok(maps)
}

fn by_id(command: c_int, id: u32) -> io::Result<OwnedFd> {
    let mut attributes: [c_uint; 3] = [id, 0, 0];
    bpf(command, &mut attributes).map(owned)
}

/// Lets a program see each event of a tracepoint while the descriptor is open.
pub(super) fn trace(program: BorrowedFd<'_>, event: &CStr) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Open {
        name: u64,
        program: u32,
        _pad: u32,
    }
    let name = address(event.to_bytes_with_nul());
    let mut attributes = Open { name, program: program.as_raw_fd().cast_unsigned(), _pad: 0 };
    bpf(RAW_TRACEPOINT_OPEN, &mut attributes).map(owned)
}

fn named(name: &CStr) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().take(15).zip(name.to_bytes()) {
        *to = *from;
    }
    bytes
}

/// The group's number, by which programs know it.
pub(super) fn group_id(group: BorrowedFd<'_>) -> io::Result<u64> {
    Ok(rustix::fs::fstat(group)?.st_ino)
}
