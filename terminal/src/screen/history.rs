//! Lines that scrolled off, as styled text, oldest first; bounded in lines and bytes.

use std::collections::VecDeque;

/// Lines kept.
pub const HISTORY_LINES_MAX: usize = 10_000;
/// Bytes kept: 10,000 lines of about 190 bytes.
pub const HISTORY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Lines are kept and forgotten in blocks of this many bytes.
const BLOCK_BYTES: usize = 32 * 1024;
const BLOCK_LINES: usize = 500;

/// See the module's text.
#[derive(Debug, Default)]
pub struct History {
    blocks: VecDeque<Block>,
    lines: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    lines: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    end: u32,
    cols: u16,
    wrapped: bool,
}

/// One line of the history.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Text with SGR and links; begins and ends in the default style.
    pub bytes: &'a [u8],
    /// Columns that it takes.
    pub cols: u16,
    /// It goes on in the next line.
    pub wrapped: bool,
}

impl History {
    /// How many lines there are.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.lines
    }

    /// Adds a line that `write` writes; it returns the columns that it took.
    pub fn push(&mut self, wrapped: bool, write: impl FnOnce(&mut Vec<u8>) -> u16) {
        let full =
            |block: &Block| block.bytes.len() >= BLOCK_BYTES || block.lines.len() >= BLOCK_LINES;
        if self.blocks.back().is_none_or(full) {
            if let Some(block) = self.blocks.back_mut() {
                block.bytes.shrink_to_fit();
            }
            self.blocks.push_back(Block::default());
        }
        let block = self.blocks.back_mut().expect("one was just pushed");
        let before = block.bytes.len();
        let cols = write(&mut block.bytes);
        let end = u32::try_from(block.bytes.len()).expect("a row is far below 4 GiB");
        block.lines.push(Entry { end, cols, wrapped });
        self.lines += 1;
        self.bytes += block.bytes.len() - before;
        while self.lines > HISTORY_LINES_MAX || self.bytes > HISTORY_BYTES_MAX {
            let Some(block) = self.blocks.pop_front() else {
                break;
            };
            self.lines -= block.lines.len();
            self.bytes -= block.bytes.len();
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = History::default();
    }

    /// The last `count` lines, oldest first.
    pub fn last(&self, count: usize) -> impl Iterator<Item = Line<'_>> {
        self.all().skip(self.lines.saturating_sub(count))
    }

    fn all(&self) -> impl Iterator<Item = Line<'_>> {
        self.blocks.iter().flat_map(|block| {
            let starts = std::iter::once(0).chain(block.lines.iter().map(|line| line.end));
            starts.zip(&block.lines).map(|(start, line)| Line {
                bytes: &block.bytes[start as usize..line.end as usize],
                cols: line.cols,
                wrapped: line.wrapped,
            })
        })
    }
}
