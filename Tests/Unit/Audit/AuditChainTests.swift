import Testing
import Wire

@Suite struct AuditChainTests {
  private static let key = AgentKey()
  private static let records: [AuditRecord] = {
    var (records, hash) = ([AuditRecord](), AuditRecord.genesis)
    for seq in Int64(1)...6 {
      let record = AuditRecord(seq: seq, body: #"{"id":"aud_\#(seq)","actor":"admin"}"#, after: hash)
      records.append(record)
      hash = record.hash
    }
    return records
  }()

  private static func head(_ record: AuditRecord) -> AuditHead { AuditHead(seq: record.seq, hash: record.hash, at: 1) }

  private static func check(_ records: [AuditRecord], head: AuditHead? = head(records[5]), anchors: [AuditHead] = [])
    throws
  {
    var chain = AuditChain()
    for record in records { try chain.follow(record, anchors: anchors) }
    try chain.end(newest: head, anchors: anchors)
  }

  @Test func `A whole audit passes, with anchors of any age, and an empty one`() throws {
    try Self.check(Self.records)
    try Self.check(Self.records, anchors: Self.records.map(Self.head))
    try Self.check([], head: nil)
  }

  @Test func `Every changed byte of every record is found`() {
    var changed = 0
    for (index, record) in Self.records.enumerated() {
      for place in record.body.utf8.indices {
        var bytes = Array(record.body.utf8)
        bytes[record.body.utf8.distance(from: record.body.utf8.startIndex, to: place)] ^= 1
        var records = Self.records
        records[index].body = String(decoding: bytes, as: UTF8.self)
        #expect(throws: AuditBreak.altered(seq: record.seq)) { try Self.check(records) }
        changed += 1
      }
    }
    #expect(changed == Self.records.reduce(0) { $0 + $1.body.utf8.count })
  }

  @Test func `Every removed record and every swapped pair is found`() {
    for index in Self.records.indices.dropLast() {
      var removed = Self.records
      removed.remove(at: index)
      #expect(throws: AuditBreak.missing(seq: Int64(index) + 1, found: Int64(index) + 2)) { try Self.check(removed) }
      var swapped = Self.records
      swapped.swapAt(index, index + 1)
      #expect(throws: AuditBreak.self) { try Self.check(swapped) }
      // Also where the numbers stay in order.
      (swapped[index].seq, swapped[index + 1].seq) = (swapped[index + 1].seq, swapped[index].seq)
      #expect(throws: AuditBreak.altered(seq: Int64(index) + 1)) { try Self.check(swapped) }
    }
  }

  @Test func `A removed record whose followers are numbered and hashed anew is found by the signed head`() {
    var (records, hash) = ([AuditRecord](), AuditRecord.genesis)
    for (index, record) in Self.records.dropFirst().enumerated() {
      records.append(AuditRecord(seq: Int64(index) + 1, body: record.body, after: hash))
      hash = records[index].hash
    }
    #expect(throws: AuditBreak.cut(last: 5, signed: 6)) { try Self.check(records) }
    // An older head that was put back is refused by an anchor from the log.
    #expect(throws: AuditBreak.replaced(seq: 5)) { try Self.check(records, head: Self.head(Self.records[4])) }
    let anchor = Self.head(Self.records[2])
    #expect(throws: AuditBreak.replaced(seq: 3)) {
      try Self.check(records, head: records.last.map(Self.head), anchors: [anchor])
    }
  }

  @Test func `A cut tail is found, also where an older signed head was put back and one anchor is known`() throws {
    let cut = Array(Self.records.prefix(4))
    #expect(throws: AuditBreak.cut(last: 4, signed: 6)) { try Self.check(cut) }
    #expect(throws: AuditBreak.unsigned(last: 4, signed: 0)) { try Self.check(cut, head: nil) }
    try Self.check(cut, head: Self.head(cut[3]))
    #expect(throws: AuditBreak.cut(last: 4, signed: 6)) {
      try Self.check(cut, head: Self.head(cut[3]), anchors: [Self.head(Self.records[5])])
    }
  }

  @Test func `Records beyond the signed head are found, and a head that somebody else signed`() throws {
    #expect(throws: AuditBreak.unsigned(last: 6, signed: 5)) {
      try Self.check(Self.records, head: Self.head(Self.records[4]))
    }
    let head = Self.head(Self.records[5])
    let read = try AuditHead(try head.signed(with: Self.key), publicKey: Self.key.publicKey)
    #expect(read == head)
    #expect(throws: AuditBreak.self) { try AuditHead(try head.signed(with: AgentKey()), publicKey: Self.key.publicKey) }
  }
}
