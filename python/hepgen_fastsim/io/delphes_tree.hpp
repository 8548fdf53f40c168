// SPDX-License-Identifier: MIT
//
// Fills the TClonesArrays of the tree `Delphes` from columns. Compiled by ROOT's interpreter at run time, after the
// declarations of the classes (hepgen_fastsim.io.root_tree); addresses of numpy columns come as integers.

#include <TClass.h>
#include <TClonesArray.h>
#include <TDirectory.h>
#include <TError.h>
#include <TFile.h>
#include <TLorentzVector.h>
#include <TObjString.h>
#include <TProcessID.h>
#include <TRef.h>
#include <TRefArray.h>
#include <TTree.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace hepgen_fastsim {

/// Where a member's values are taken from; `offset` is that of the member within the object [bytes].
struct Numbers {
  Long_t offset;
  Long64_t bytes;  // of one entry
  const char* data;
};

struct Vectors {
  Long_t offset;
  Long64_t length;     // TLorentzVectors in one entry
  const Double_t* p4;  // [n_entries][length][4]: px, py, pz, E
};

/// Entry i refers to the objects with the identifiers ids[bounds[i]] ... ids[bounds[i + 1] - 1] of its event.
struct References {
  Long_t offset;
  bool many;  // TRefArray, else TRef
  const Long64_t* bounds;
  const UInt_t* ids;
};

struct Branch {
  std::unique_ptr<TClonesArray> entries;
  bool identified;  // its entries can be referred to
  Int_t size = 0;   // of the event, written beside the entries as Delphes does
  const Long64_t* offsets = nullptr;
  std::vector<Numbers> numbers;
  std::vector<Vectors> vectors;
  std::vector<References> references;
};

/// One file with one tree. Before each fill() all columns of all branches are given anew.
class TreeFile {
 public:
  TreeFile(const char* path, int compression) {
    TDirectory::TContext keep;
    file_.reset(TFile::Open(path, "RECREATE", "", compression));
    if (!ok()) return;
    tree_ = new TTree("Delphes", "Analysis tree");  // the file owns it
    tree_->SetDirectory(file_.get());
  }
  ~TreeFile() { drop(); }

  bool ok() const { return file_ && !file_->IsZombie() && !file_->TestBit(TFile::kWriteError); }

  /// Add a branch; the number by which it is known then.
  int add(const char* name, const char* class_name, bool identified) {
    auto branch = std::make_unique<Branch>();
    branch->entries = std::make_unique<TClonesArray>(class_name, 64);
    branch->identified = identified;
    const int level = std::exchange(gErrorIgnoreLevel, kError);  // ROOT warns of bases without a compiled dictionary,
    tree_->Branch(name, branch->entries.get(), 64000, 99);       // which it describes and saves all the same
    gErrorIgnoreLevel = level;
    const std::string size = std::string(name) + "_size";
    tree_->Branch(size.c_str(), &branch->size, (size + "/I").c_str());
    branches_.push_back(std::move(branch));
    return int(branches_.size()) - 1;
  }

  /// Let TRefs load the branches that they refer to.
  void link() { tree_->BranchRef(); }

  void begin(int branch, ULong64_t offsets) {
    Branch& b = *branches_[branch];
    b.offsets = reinterpret_cast<const Long64_t*>(offsets);
    b.numbers.clear();
    b.vectors.clear();
    b.references.clear();
  }
  void numbers(int branch, const char* member, Long64_t bytes, ULong64_t data) {
    branches_[branch]->numbers.push_back({offset(branch, member), bytes, reinterpret_cast<const char*>(data)});
  }
  void vectors(int branch, const char* member, Long64_t length, ULong64_t p4) {
    branches_[branch]->vectors.push_back({offset(branch, member), length, reinterpret_cast<const Double_t*>(p4)});
  }
  void references(int branch, const char* member, bool many, ULong64_t bounds, ULong64_t ids) {
    branches_[branch]->references.push_back({offset(branch, member), many, reinterpret_cast<const Long64_t*>(bounds),
                                             reinterpret_cast<const UInt_t*>(ids)});
  }

  /// Append events; false if the disk refuses.
  bool fill(Long64_t n_events) {
    const UInt_t count = TProcessID::GetObjectCount();
    bool good = true;
    for (Long64_t event = 0; good && event < n_events; ++event) {
      TProcessID::SetObjectCount(0);  // identifiers restart in every event
      by_id_.assign(1, nullptr);
      for (auto& branch : branches_) create(*branch, event);
      for (auto& branch : branches_) refer(*branch, event);
      good = tree_->Fill() >= 0 && ok();
    }
    TProcessID::SetObjectCount(count);
    return good;
  }

  /// Write the tree and an object with a text beside it; false if the disk refuses.
  bool close(const char* name, const char* text) {
    TDirectory::TContext keep;
    bool good = file_->WriteTObject(tree_, "Delphes") > 0;
    TObjString side(text);
    good = file_->WriteTObject(&side, name) > 0 && good;
    tree_ = nullptr;  // goes with the file
    file_->Close();
    good = good && !file_->TestBit(TFile::kWriteError);
    drop();
    return good;
  }

  /// Let go of the file without completing it.
  void drop() {
    TDirectory::TContext keep;
    delete std::exchange(tree_, nullptr);
    file_.reset();
    branches_.clear();
  }

 private:
  Long_t offset(int branch, const char* member) {
    return branches_[branch]->entries->GetClass()->GetDataMemberOffset(member);
  }

  void create(Branch& b, Long64_t event) {
    const Long64_t first = b.offsets[event];
    const int n = int(b.offsets[event + 1] - first);
    b.size = n;
    b.entries->Clear();  // keeps the objects: every member that is ever filled is filled again
    objects_.resize(n);
    for (int i = 0; i < n; ++i) {
      TObject* object = b.entries->ConstructedAt(i);
      object->ResetBit(kIsReferenced);
      object->SetUniqueID(0);
      objects_[i] = reinterpret_cast<char*>(object);
      if (b.identified) {
        TProcessID::AssignID(object);
        by_id_.push_back(object);
      }
    }
    for (const Numbers& column : b.numbers) {
      const char* from = column.data + first * column.bytes;
      if (column.bytes == 4) {
        for (int i = 0; i < n; ++i) std::memcpy(objects_[i] + column.offset, from + 4 * i, 4);
      } else {
        for (int i = 0; i < n; ++i)
          std::memcpy(objects_[i] + column.offset, from + column.bytes * i, std::size_t(column.bytes));
      }
    }
    for (const Vectors& column : b.vectors) {
      const Double_t* p4 = column.p4 + 4 * column.length * first;
      for (int i = 0; i < n; ++i) {
        auto* vector = reinterpret_cast<TLorentzVector*>(objects_[i] + column.offset);
        for (int k = 0; k < column.length; ++k, p4 += 4) vector[k].SetPxPyPzE(p4[0], p4[1], p4[2], p4[3]);
      }
    }
  }

  void refer(Branch& b, Long64_t event) {
    const Long64_t first = b.offsets[event];
    const int n = int(b.offsets[event + 1] - first);
    for (const References& column : b.references) {
      for (int i = 0; i < n; ++i) {
        char* member = reinterpret_cast<char*>(b.entries->UncheckedAt(i)) + column.offset;
        const Long64_t begin = column.bounds[first + i], end = column.bounds[first + i + 1];
        if (column.many) {
          auto* list = reinterpret_cast<TRefArray*>(member);
          list->Clear();
          for (Long64_t k = begin; k < end; ++k) list->Add(by_id_[column.ids[k]]);
        } else {
          *reinterpret_cast<TRef*>(member) = begin < end ? by_id_[column.ids[begin]] : nullptr;
        }
      }
    }
  }

  std::unique_ptr<TFile> file_;
  TTree* tree_ = nullptr;
  std::vector<std::unique_ptr<Branch>> branches_;
  std::vector<TObject*> by_id_;  // 0: none
  std::vector<char*> objects_;
};

}  // namespace hepgen_fastsim
