// Comma-separated values as spreadsheets write them (RFC 4180), and back.

/** The rows of a text; blank rows are left out. The separator is a comma, or a semicolon. */
export function parseCsv(text) {
  const separator = (text.split("\n", 1)[0].match(/;/g)?.length ?? 0) > (text.split("\n", 1)[0].match(/,/g)?.length ?? 0) ? ";" : ",";
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false;
  const endCell = () => {
    row.push(cell.trim());
    cell = "";
  };
  const endRow = () => {
    endCell();
    if (row.some(Boolean)) rows.push(row);
    row = [];
  };
  const letters = text.replace(/^\uFEFF/, "");
  for (let i = 0; i < letters.length; i += 1) {
    const letter = letters[i];
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (letters[i + 1] === '"') {
        cell += '"';
        i += 1;
      } else quoted = false;
    } else if (letter === '"' && !cell.trim()) quoted = true;
    else if (letter === separator) endCell();
    else if (letter === "\n") endRow();
    else if (letter !== "\r") cell += letter;
  }
  endRow();
  return rows;
}

export function toCsv(rows) {
  return rows.map((row) => row.map(quote).join(",")).join("\r\n");
}

function quote(value) {
  const text = String(value ?? "");
  // A spreadsheet would run a cell that begins like a formula.
  const safe = /^[=+@\t\r]|^-(?![\d.])/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
