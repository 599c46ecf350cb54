//! A BPF assembler: just enough for a seccomp filter, with labels for forward jumps.

use libc::sock_filter;

/// A place in the program, known when [`Assembler::place`] names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// An instruction whose jumps still name labels.
#[derive(Debug, Clone, Copy)]
enum Instruction {
    Plain {
        code: u32,
        k: u32,
    },
    Branch {
        test: u32,
        k: u32,
        yes: Label,
        no: Label,
    },
    Always {
        to: Label,
    },
}

/// Collects instructions; [`Assembler::finish`] resolves the labels.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    instructions: Vec<Instruction>,
    /// Index of the instruction that each label stands before.
    places: Vec<Option<usize>>,
}

/// Offsets in `struct seccomp_data`.
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_ARGUMENTS: u32 = 16;

impl Assembler {
    pub(super) fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    /// Names the place before the next instruction.
    pub(super) fn place(&mut self, label: Label) {
        self.places[label.0] = Some(self.instructions.len());
    }

    pub(super) fn load_number(&mut self) {
        self.load(OFFSET_NUMBER);
    }

    pub(super) fn load_arch(&mut self) {
        self.load(OFFSET_ARCH);
    }

    /// Loads the low 32 bits of an argument.
    pub(super) fn load_argument(&mut self, index: u32) {
        let high_first = u32::from(cfg!(target_endian = "big")) * 4;
        self.load(OFFSET_ARGUMENTS + 8 * index + high_first);
    }

    pub(super) fn and(&mut self, mask: u32) {
        self.plain(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask);
    }

    /// Ends the program with this value.
    pub(super) fn end(&mut self, value: u32) {
        self.plain(libc::BPF_RET | libc::BPF_K, value);
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.instructions.push(Instruction::Always { to });
    }

    pub(super) fn jump_equal(&mut self, k: u32, yes: Label, no: Label) {
        self.branch(libc::BPF_JEQ, k, yes, no);
    }

    pub(super) fn jump_greater(&mut self, k: u32, yes: Label, no: Label) {
        self.branch(libc::BPF_JGT, k, yes, no);
    }

    pub(super) fn jump_at_least(&mut self, k: u32, yes: Label, no: Label) {
        self.branch(libc::BPF_JGE, k, yes, no);
    }

    pub(super) fn jump_set(&mut self, mask: u32, yes: Label, no: Label) {
        self.branch(libc::BPF_JSET, mask, yes, no);
    }

    /// Jumps if the accumulator equals one of the values, goes on otherwise.
    pub(super) fn chain(&mut self, values: &[u32], yes: Label) {
        for &value in values {
            let next = self.label();
            self.jump_equal(value, yes, next);
            self.place(next);
        }
    }

    /// Jumps to `yes` if the accumulator equals one of the values, to `no` otherwise.
    pub(super) fn choose(&mut self, values: &[u32], yes: Label, no: Label) {
        let (last, others) = values.split_last().expect("there is something to choose");
        self.chain(others, yes);
        self.jump_equal(*last, yes, no);
    }

    /// The program with all jumps resolved.
    pub(super) fn finish(self) -> Vec<sock_filter> {
        let at = |label: Label| self.places[label.0].expect("every label that is used is placed");
        let mut out = Vec::with_capacity(self.instructions.len());
        for (index, instruction) in self.instructions.iter().enumerate() {
            let distance = |label: Label| {
                at(label)
                    .checked_sub(index + 1)
                    .expect("jumps only go forward")
            };
            let short = |label: Label| {
                u8::try_from(distance(label)).expect("the program is shorter than a short jump")
            };
            out.push(match *instruction {
                Instruction::Plain { code, k } => filter(code, 0, 0, k),
                Instruction::Branch { test, k, yes, no } => {
                    filter(libc::BPF_JMP | test | libc::BPF_K, short(yes), short(no), k)
                }
                Instruction::Always { to } => {
                    let k = u32::try_from(distance(to)).expect("programs are short");
                    filter(libc::BPF_JMP | libc::BPF_JA, 0, 0, k)
                }
            });
        }
        out
    }

    fn load(&mut self, offset: u32) {
        self.plain(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    }

    fn plain(&mut self, code: u32, k: u32) {
        self.instructions.push(Instruction::Plain { code, k });
    }

    fn branch(&mut self, test: u32, k: u32, yes: Label, no: Label) {
        self.instructions
            .push(Instruction::Branch { test, k, yes, no });
    }
}

fn filter(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    let code = u16::try_from(code).expect("BPF opcodes have 16 bits");
    sock_filter { code, jt, jf, k }
}
