//! Plain calls first: a binary search by the number of the call.
//!
//! A list of comparisons as long as there are calls costs at each call and, when a filter is put on, a walk for each
//! number that there is (the kernel tries them all, to know which are always allowed).

use libc::{BPF_ABS, BPF_JA, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW, c_long};
use seccompiler::{BpfProgram, sock_filter};

/// How a filter begins that was made for one architecture: its kind is loaded, compared, and another one is killed.
const BEGIN: usize = 3;

/// `filter`, with `plain` allowed before it is asked. It must not name them itself.
pub(super) fn first(plain: &[c_long], filter: &[sock_filter]) -> BpfProgram {
    let (begin, rest) = filter.split_at(BEGIN.min(filter.len()));
    let mut program = begin.to_vec();
    program.push(plainly(BPF_LD | BPF_W | BPF_ABS, 0));
    let tree = tree(&edges(plain), false, 0);
    program.extend(tree);
    program.extend_from_slice(rest);
    program
}

/// Where in the row of numbers those that are in it begin and end, in turns.
fn edges(numbers: &[c_long]) -> Vec<u32> {
    let mut numbers: Vec<_> = numbers.iter().filter_map(|number| u32::try_from(*number).ok()).collect();
    numbers.sort_unstable();
    let mut edges = Vec::new();
    for number in numbers {
        if edges.last() == Some(&number) {
            edges.pop();
        } else {
            edges.push(number);
        }
        edges.push(number + 1);
    }
    edges
}

/// Allows what lies behind an odd number of edges, and passes the rest on to what follows `after` instructions later.
fn tree(edges: &[u32], inside: bool, after: u32) -> Vec<sock_filter> {
    if edges.is_empty() {
        return vec![if inside {
            plainly(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
        } else {
            plainly(BPF_JMP | BPF_JA, after)
        }];
    }
    let (below, at_and_above) = edges.split_at(edges.len() / 2);
    let Some((edge, above)) = at_and_above.split_first() else { return Vec::new() };
    let right = tree(above, inside ^ (below.len() % 2 == 0), after);
    let left = tree(below, inside, after + right.len() as u32);
    let far = u8::try_from(left.len());
    let mut all = match far {
        Ok(far) => vec![sock_filter { jt: far, ..plainly(BPF_JMP | BPF_JGE | BPF_K, *edge) }],
        // too far for one jump: by way of one that goes anywhere
        Err(_) => vec![
            sock_filter { jf: 1, ..plainly(BPF_JMP | BPF_JGE | BPF_K, *edge) },
            plainly(BPF_JMP | BPF_JA, left.len() as u32),
        ],
    };
    all.extend(left);
    all.extend(right);
    all
}

fn plainly(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

#[cfg(test)]
mod tests;
