#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <catch2/catch.hpp>
#include <string>

namespace appsup::agent {

// Writes an archive for a test, entry by entry, evil ones included.
class ArchiveFile {
 public:
  explicit ArchiveFile(const std::string& path, const std::string& format = "tar.gz")
      : writer_(archive_write_new()) {
    if (format == "zip") {
      archive_write_set_format_zip(writer_);
    } else {
      archive_write_set_format_pax_restricted(writer_);
    }
    if (format == "tar.gz") archive_write_add_filter_gzip(writer_);
    if (format == "tar.xz") archive_write_add_filter_xz(writer_);
    REQUIRE(archive_write_open_filename(writer_, path.c_str()) == ARCHIVE_OK);
  }
  ~ArchiveFile() { archive_write_free(writer_); }
  ArchiveFile(const ArchiveFile&) = delete;
  ArchiveFile& operator=(const ArchiveFile&) = delete;

  ArchiveFile& File(const std::string& name, const std::string& data, int mode = 0644) {
    archive_entry* entry = NewEntry(name, AE_IFREG, mode);
    archive_entry_set_size(entry, static_cast<la_int64_t>(data.size()));
    Put(entry, data);
    return *this;
  }
  ArchiveFile& Folder(const std::string& name) {
    Put(NewEntry(name, AE_IFDIR, 0700), "");
    return *this;
  }
  ArchiveFile& Symlink(const std::string& name, const std::string& target) {
    archive_entry* entry = NewEntry(name, AE_IFLNK, 0777);
    archive_entry_set_symlink(entry, target.c_str());
    Put(entry, "");
    return *this;
  }
  ArchiveFile& HardLink(const std::string& name, const std::string& target) {
    archive_entry* entry = NewEntry(name, AE_IFREG, 0644);
    archive_entry_set_hardlink(entry, target.c_str());
    Put(entry, "");
    return *this;
  }
  ArchiveFile& Fifo(const std::string& name) {
    Put(NewEntry(name, AE_IFIFO, 0644), "");
    return *this;
  }

 private:
  static archive_entry* NewEntry(const std::string& name, unsigned type, int mode) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, type);
    archive_entry_set_perm(entry, static_cast<__LA_MODE_T>(mode));
    archive_entry_set_mtime(entry, 1'600'000'000, 0);
    return entry;
  }
  void Put(archive_entry* entry, const std::string& data) {
    const int result = archive_write_header(writer_, entry);
    INFO((result == ARCHIVE_OK ? "" : archive_error_string(writer_)));
    REQUIRE(result == ARCHIVE_OK);
    REQUIRE(archive_write_data(writer_, data.data(), data.size()) ==
            static_cast<la_ssize_t>(data.size()));
    archive_entry_free(entry);
  }

  archive* writer_;
};

}  // namespace appsup::agent
