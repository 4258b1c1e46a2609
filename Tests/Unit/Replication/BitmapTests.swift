import Replication
import Testing

@Suite struct BitmapTests {
  @Test func `it agrees with a set under every operation`() {
    var generator = SystemRandomNumberGenerator()
    for count in [1, 63, 64, 65, 200] {
      var bitmap = Bitmap(count: count)
      var set: Set<Int> = []
      for _ in 0..<200 {
        let lower = Int.random(in: 0..<count, using: &generator)
        let range = lower..<Int.random(in: lower...count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0:
          bitmap.insert(range)
          set.formUnion(range)
        case 1:
          bitmap.remove(range)
          set.subtract(range)
        case 2:
          bitmap[lower] = true
          set.insert(lower)
        default:
          bitmap[lower] = false
          set.remove(lower)
        }
        #expect(bitmap.population == set.count)
        #expect(bitmap.next(from: lower) == set.filter { $0 >= lower }.min())
        #expect(bitmap.nextClear(from: lower) == (lower..<count).first { !set.contains($0) })
        #expect(bitmap.contains(range) == set.isSuperset(of: range))
        #expect(bitmap.intersects(range) == !set.isDisjoint(with: range))
      }
      #expect(Bitmap(count: count, bytes: bitmap.bytes) == bitmap)
    }
  }

  @Test func `its bytes lie least significant bit first`() {
    var bitmap = Bitmap(count: 12)
    for index in [0, 3, 9] { bitmap[index] = true }
    #expect(bitmap.bytes == [0b1001, 0b10])
  }

  @Test func `bits beyond the count are dropped`() {
    let bitmap = Bitmap(count: 3, bytes: [0xff, 0xff])
    #expect(bitmap.population == 3)
    #expect(bitmap.run(from: 0) == 0..<3)
  }

  @Test func `a union counts what is new`() {
    var one = Bitmap(count: 130)
    one.insert(0..<70)
    var other = Bitmap(count: 130)
    other.insert(60..<130)
    one.formUnion(other)
    #expect(one.population == 130)
  }

  @Test(arguments: [32768, 32768 * 3 + 5, 32768 * 2 - 1]) func `long stretches agree with a plain array`(count: Int) {
    var generator = SystemRandomNumberGenerator()
    var bitmap = Bitmap(count: count)
    var plain = [Bool](repeating: false, count: count)
    for round in 0..<60 {
      let lower = Int.random(in: 0..<count, using: &generator)
      let range = round % 7 == 0 ? 0..<count : lower..<Int.random(in: lower...count, using: &generator)
      let value = Bool.random(using: &generator)
      if value { bitmap.insert(range) } else { bitmap.remove(range) }
      for index in range { plain[index] = value }
      bitmap[lower].toggle()
      plain[lower].toggle()
      if round % 10 == 9 {
        var other = Bitmap(count: count)
        other.insert(range)
        bitmap.formUnion(other)
        for index in range { plain[index] = true }
      }
      #expect(bitmap.population == plain.count { $0 })
      #expect(bitmap.next(from: lower) == plain[lower...].firstIndex(of: true))
      #expect(bitmap.nextClear(from: lower) == plain[lower...].firstIndex(of: false))
    }
    #expect((0..<count).allSatisfy { bitmap[$0] == plain[$0] })
    #expect(Bitmap(count: count, bytes: bitmap.bytes) == bitmap)
    // What was filled bit by bit is like what was filled at once.
    for index in 0..<count { bitmap[index] = true }
    var full = Bitmap(count: count)
    full.insert(0..<count)
    #expect(bitmap == full)
    bitmap.removeAll()
    #expect(bitmap == Bitmap(count: count))
  }
}
