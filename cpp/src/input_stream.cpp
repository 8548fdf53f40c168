// SPDX-License-Identifier: MIT
#include "input_stream.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "hepgen_fastsim/error.hpp"

namespace hepgen_fastsim::detail {
namespace {

class Descriptor : public InputStream {
 public:
  Descriptor(int descriptor, bool owned) : descriptor_(descriptor), owned_(owned) {
    struct stat info;
    if (fstat(descriptor_, &info) != 0) {
      const std::string why = std::strerror(errno);
      close_owned();
      throw InputError("cannot read from descriptor " + std::to_string(descriptor) + ": " + why);
    }
    if (S_ISDIR(info.st_mode)) {
      close_owned();
      throw InputError("expected a file, found a directory");
    }
    if (S_ISREG(info.st_mode)) {
      const auto position = lseek(descriptor_, 0, SEEK_CUR);
      total_ = info.st_size - std::max<off_t>(position, 0);
#ifdef POSIX_FADV_SEQUENTIAL
      posix_fadvise(descriptor_, 0, 0, POSIX_FADV_SEQUENTIAL);
#endif
    }
  }
  ~Descriptor() override { close_owned(); }

  std::size_t read(char* to, std::size_t n) override {
    for (;;) {
      const auto got = ::read(descriptor_, to, n);
      if (got >= 0) {
        read_ += got;
        return static_cast<std::size_t>(got);
      }
      if (errno != EINTR) throw InputError(std::string("reading failed: ") + std::strerror(errno));
    }
  }
  std::int64_t bytes_read() const override { return read_; }
  std::int64_t bytes_total() const override { return total_; }

 private:
  void close_owned() {
    if (owned_) ::close(descriptor_);
  }

  int descriptor_;
  bool owned_;
  std::int64_t read_ = 0, total_ = -1;
};

class Source : public InputStream {
 public:
  explicit Source(std::function<std::size_t(char*, std::size_t)> source) : source_(std::move(source)) {}

  std::size_t read(char* to, std::size_t n) override {
    const auto got = source_(to, n);
    if (got > n) {
      throw InputError("the byte source was asked for " + std::to_string(n) + " bytes and says that it gave " +
                       std::to_string(got));
    }
    read_ += static_cast<std::int64_t>(got);
    return got;
  }
  std::int64_t bytes_read() const override { return read_; }
  std::int64_t bytes_total() const override { return -1; }

 private:
  std::function<std::size_t(char*, std::size_t)> source_;
  std::int64_t read_ = 0;
};

/// A stream whose first bytes have been looked at.
class Peeked : public InputStream {
 public:
  Peeked(std::unique_ptr<InputStream> raw, std::string head) : raw_(std::move(raw)), head_(std::move(head)) {}

  std::size_t read(char* to, std::size_t n) override {
    if (used_ == head_.size()) return raw_->read(to, n);
    const auto take = std::min(n, head_.size() - used_);
    std::memcpy(to, head_.data() + used_, take);
    used_ += take;
    return take;
  }
  std::int64_t bytes_read() const override { return raw_->bytes_read(); }
  std::int64_t bytes_total() const override { return raw_->bytes_total(); }

 private:
  std::unique_ptr<InputStream> raw_;
  std::string head_;
  std::size_t used_ = 0;
};

class Gzip : public InputStream {
 public:
  explicit Gzip(std::unique_ptr<InputStream> raw) : raw_(std::move(raw)), buffer_(std::size_t{1} << 17) {
    if (inflateInit2(&zlib_, 16 + MAX_WBITS) != Z_OK) throw InputError("zlib cannot be initialised");
  }
  ~Gzip() override { inflateEnd(&zlib_); }

  std::size_t read(char* to, std::size_t n) override {
    if (n == 0) return 0;
    zlib_.next_out = reinterpret_cast<Bytef*>(to);
    zlib_.avail_out = static_cast<uInt>(std::min<std::size_t>(n, std::size_t{1} << 30));
    const auto wanted = zlib_.avail_out;
    while (zlib_.avail_out == wanted) {
      if (between_members_ && !next_member()) return 0;
      if (zlib_.avail_in == 0 && !fill()) {
        throw InputError("the gzip stream is cut: its end is missing after " + std::to_string(raw_->bytes_read()) +
                         " compressed bytes");
      }
      const int status = inflate(&zlib_, Z_NO_FLUSH);
      if (status == Z_STREAM_END) {
        between_members_ = true;
        if (zlib_.avail_out != wanted) break;
      } else if (status != Z_OK && status != Z_BUF_ERROR && zlib_.avail_out != wanted) {
        break;  // zlib will say so again, when what came before the damage has been read
      } else if (status == Z_MEM_ERROR) {
        throw InputError("zlib ran out of memory");
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        throw InputError(std::string("the gzip stream is damaged (") + (zlib_.msg ? zlib_.msg : "bad data") +
                         ") near compressed byte " +
                         std::to_string(raw_->bytes_read() - static_cast<std::int64_t>(zlib_.avail_in)));
      }
    }
    return wanted - zlib_.avail_out;
  }
  std::int64_t bytes_read() const override { return raw_->bytes_read() - static_cast<std::int64_t>(zlib_.avail_in); }
  std::int64_t bytes_total() const override { return raw_->bytes_total(); }

 private:
  bool fill() {
    zlib_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    zlib_.avail_in = static_cast<uInt>(raw_->read(buffer_.data(), buffer_.size()));
    return zlib_.avail_in != 0;
  }

  /// Files may be concatenations of gzip streams, padded with zeros (tapes, block devices).
  bool next_member() {
    for (;;) {
      while (zlib_.avail_in > 0 && *zlib_.next_in == 0) {
        ++zlib_.next_in;
        --zlib_.avail_in;
      }
      if (zlib_.avail_in > 0) break;
      if (!fill()) return false;
    }
    if (*zlib_.next_in != 0x1f) {
      throw InputError("bytes that are not gzip follow the gzip stream at compressed byte " +
                       std::to_string(bytes_read()));
    }
    inflateReset(&zlib_);
    between_members_ = false;
    return true;
  }

  std::unique_ptr<InputStream> raw_;
  std::vector<char> buffer_;
  z_stream zlib_{};
  bool between_members_ = false;
};

}  // namespace

std::unique_ptr<InputStream> open_file(const std::string& path) {
  if (path == "-") return open_descriptor(STDIN_FILENO);
  if (path.find('\0') != path.npos) throw InputError("the name of a file cannot hold a NUL");
  int descriptor;
  do {
    descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) {
    const int why = errno;
    throw InputError(why == ENOENT ? "no such file" : std::string("cannot be opened: ") + std::strerror(why));
  }
  return std::make_unique<Descriptor>(descriptor, true);
}

std::unique_ptr<InputStream> open_descriptor(int descriptor) {
  return std::make_unique<Descriptor>(descriptor, false);
}

std::unique_ptr<InputStream> open_source(std::function<std::size_t(char*, std::size_t)> source) {
  return std::make_unique<Source>(std::move(source));
}

std::unique_ptr<InputStream> decompressed(std::unique_ptr<InputStream> raw) {
  std::string head(2, '\0');
  std::size_t n = 0;
  while (n < head.size()) {
    const auto got = raw->read(head.data() + n, head.size() - n);
    if (got == 0) break;
    n += got;
  }
  head.resize(n);
  const bool gzip = head == "\x1f\x8b";
  auto peeked = std::make_unique<Peeked>(std::move(raw), std::move(head));
  if (gzip) return std::make_unique<Gzip>(std::move(peeked));
  return peeked;
}

}  // namespace hepgen_fastsim::detail
