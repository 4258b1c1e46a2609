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
}
